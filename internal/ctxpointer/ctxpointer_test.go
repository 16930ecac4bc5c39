package ctxpointer

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The type that cgo names so for every package that says C.SSL_CTX.
type _Ctype_struct_ssl_ctx_st struct{ opaque int }

// A Ctx is shaped like the bindings' own.
type Ctx struct {
	ctx  *_Ctype_struct_ssl_ctx_st
	cert *int
}

type notNamedCtx struct{ ctx *_Ctype_struct_ssl_ctx_st }

func TestOfReturnsThePointerInTheField(t *testing.T) {
	inner := &_Ctype_struct_ssl_ctx_st{opaque: 7}

	got, err := Of(&Ctx{ctx: inner})

	require.NoError(t, err)
	require.Equal(t, unsafe.Pointer(inner), got)
}

func TestOfRefusesWhatHoldsNoContext(t *testing.T) {
	var typedNil *Ctx
	for _, tt := range []struct {
		name    string
		binding any
		cause   error
		says    string
	}{
		{"nil", nil, ErrNil, "find the SSL_CTX: the context is nil"},
		{"a nil pointer", typedNil, ErrNil, "*ctxpointer.Ctx: the context is nil"},
		{"no SSL_CTX in it", &Ctx{}, ErrNil, `field "ctx": the context is nil`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Of(tt.binding)
			require.ErrorIs(t, err, tt.cause)
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, got)
		})
	}
}

func TestOfRefusesWhatIsNoBindingContext(t *testing.T) {
	inner := &_Ctype_struct_ssl_ctx_st{}
	pointer := &Ctx{ctx: inner}
	for _, tt := range []struct {
		name    string
		binding any
		says    string
	}{
		{"a value", Ctx{ctx: inner}, "of a ctxpointer.Ctx"},
		{"a pointer to a pointer", &pointer, "of a **ctxpointer.Ctx"},
		{"a number", 42, "of a int"},
		{"a bare pointer", unsafe.Pointer(inner), "of a unsafe.Pointer"},
		{"a pointer to no struct", new(int), "of a *int"},
		{"another type's name", &notNamedCtx{ctx: inner}, "of a *ctxpointer.notNamedCtx"},
		{"no such field", noField(), `no field "ctx"`},
		{"a field that is no pointer", noPointer(), `field "ctx" is a uintptr`},
		{"a field that points elsewhere", elsewhere(), `field "ctx" is a *int`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Of(tt.binding)
			require.ErrorIs(t, err, ErrLayout)
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, got)
		})
	}
}

func noField() any {
	type Ctx struct{ context *_Ctype_struct_ssl_ctx_st }
	return &Ctx{context: &_Ctype_struct_ssl_ctx_st{}}
}

func noPointer() any {
	type Ctx struct{ ctx uintptr }
	return &Ctx{ctx: 1}
}

func elsewhere() any {
	type Ctx struct{ ctx *int }
	return &Ctx{ctx: new(int)}
}
