// Package ctxpointer finds the SSL_CTX inside a Go binding's context.
package ctxpointer

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// The place of the SSL_CTX in github.com/spacemonkeygo/openssl and in its fork
// github.com/libp2p/go-openssl: type Ctx struct { ctx *C.SSL_CTX; ... }.
// Neither module exports it or will change again.
const (
	structName = "Ctx"
	fieldName  = "ctx"
	targetName = "_Ctype_struct_ssl_ctx_st" // what cgo makes of C.SSL_CTX
)

var (
	// ErrNil says that there is no context: nil, or one without an SSL_CTX.
	ErrNil = errors.New("the context is nil")

	// ErrLayout says that the value is no *Ctx of a binding known here.
	ErrLayout = errors.New("not a *openssl.Ctx as we know it")
)

// Of returns the SSL_CTX of a binding's *openssl.Ctx. The pointer is valid for
// as long as the binding's value is reachable, so the caller calls
// runtime.KeepAlive on that value after the last use. Of is safe for
// concurrent use.
func Of(binding any) (unsafe.Pointer, error) {
	v := reflect.ValueOf(binding)
	if !v.IsValid() {
		return nil, fmt.Errorf("find the SSL_CTX: %w", ErrNil)
	}
	if v.Kind() != reflect.Pointer || v.Type().Elem().Kind() != reflect.Struct || v.Type().Elem().Name() != structName {
		return nil, fmt.Errorf("find the SSL_CTX of a %T: %w", binding, ErrLayout)
	}
	if v.IsNil() {
		return nil, fmt.Errorf("find the SSL_CTX of a %T: %w", binding, ErrNil)
	}

	field := v.Elem().FieldByName(fieldName)
	if !field.IsValid() {
		return nil, fmt.Errorf("find the SSL_CTX of a %T: no field %q: %w", binding, fieldName, ErrLayout)
	}
	if field.Kind() != reflect.Pointer || field.Type().Elem().Name() != targetName {
		return nil, fmt.Errorf("find the SSL_CTX of a %T: field %q is a %v: %w", binding, fieldName, field.Type(), ErrLayout)
	}
	if field.IsNil() {
		return nil, fmt.Errorf("find the SSL_CTX of a %T: field %q: %w", binding, fieldName, ErrNil)
	}
	return field.UnsafePointer(), nil
}
