package stek

/*
#cgo CFLAGS: -std=gnu11
#cgo LDFLAGS: -ldl -lpthread -Wl,-z,now

#include <stdlib.h>
#include "callback.h"

extern int stekgo_key_current(uintptr_t handle, struct stek_key *out);
extern int stekgo_key_named(uintptr_t handle, unsigned char *name, struct stek_key *out);
extern void stekgo_store_released(uintptr_t handle);
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime/cgo"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/ticketkey"
)

// Errors of Attach, Detach and Inspect, for errors.Is.
var (
	ErrNil            = errors.New("nil argument")
	ErrNoLibssl       = errors.New("no libssl in this process")
	ErrLibrary        = errors.New("libssl is not supported")
	ErrNotContext     = errors.New("not an SSL_CTX")
	ErrForeignContext = errors.New("SSL_CTX of another libssl")
	ErrAttached       = errors.New("SSL_CTX is attached already")
	ErrNotAttached    = errors.New("SSL_CTX is not attached")
	ErrOption         = errors.New("option out of range")
	ErrTooMany        = errors.New("too many stores")
	ErrOpenSSL        = errors.New("OpenSSL refused")
	ErrClosed         = errors.New("keystore is closed")
)

var resultErrors = map[C.enum_stekc_result]error{
	C.STEKC_ERR_NULL:         ErrNil,
	C.STEKC_ERR_NO_LIBSSL:    ErrNoLibssl,
	C.STEKC_ERR_LIBRARY:      ErrLibrary,
	C.STEKC_ERR_NOT_CTX:      ErrNotContext,
	C.STEKC_ERR_FOREIGN:      ErrForeignContext,
	C.STEKC_ERR_ATTACHED:     ErrAttached,
	C.STEKC_ERR_NOT_ATTACHED: ErrNotAttached,
	C.STEKC_ERR_KIND:         ErrOption,
	C.STEKC_ERR_OPTION:       ErrOption,
	C.STEKC_ERR_FETCH:        ErrOption,
	C.STEKC_ERR_FULL:         ErrTooMany,
	C.STEKC_ERR_OPENSSL:      ErrOpenSSL,
	C.STEKC_ERR_MEMORY:       ErrOpenSSL,
	C.STEKC_ERR_CLOSED:       ErrClosed,
}

// Attach makes ctx, the address of an SSL_CTX of any cgo binding, issue and
// accept session tickets with the keys of ks. It returns what in the
// configuration of ctx would keep that from being of use.
//
// Call it before the first connection on ctx; any goroutine may. ctx holds what
// it needs of ks until SSL_CTX_free, so either may go first. A ticket callback
// that the application set before is replaced; Detach does not bring it back. On
// an error ctx is unchanged, unless it was OpenSSL that failed (ErrOpenSSL): ctx
// then has no ticket callback. ctx must stay allocated during the call:
// runtime.KeepAlive its owner.
//
// The pointer is checked as far as that can be done: nil, an address that
// cannot be read, a freed SSL_CTX at the first try, another struct, an SSL_CTX
// of a second libssl.
func Attach(ctx unsafe.Pointer, ks *Keystore, options ...AttachOption) ([]Warning, error) {
	config := attachConfig{authAgeCap: DefaultAuthAgeCap}
	for _, option := range options {
		option(&config)
	}
	if config.authAgeCap <= 0 || config.authAgeCap > MaxAuthAgeCap {
		return nil, fmt.Errorf("attach keystore: %w: authentication-age cap of %v, want more than 0 and at most %v",
			ErrOption, config.authAgeCap, MaxAuthAgeCap)
	}
	if ks == nil {
		return nil, fmt.Errorf("attach keystore: %w: the keystore is nil", ErrNil)
	}
	for _, text := range []string{config.nameGroup, config.properties, config.clientAuth, config.ticketData} {
		if strings.ContainsRune(text, 0) {
			return nil, fmt.Errorf("attach keystore: %w: %q has a zero byte", ErrOption, text)
		}
	}
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.closed {
		return nil, fmt.Errorf("attach keystore: %w", ErrClosed)
	}
	if ks.table.store == nil {
		return nil, fmt.Errorf("attach keystore: %w: this keystore serves a table of others", ErrOption)
	}

	c := C.struct_stekc_options{
		policy:          C.int(config.policy),
		kind:            C.int(config.kind),
		auth_age_cap:    C.int64_t(config.authAgeCap),
		library_context: config.libraryContext,
		window_seconds:  ks.windowSeconds(),
	}
	if config.soft {
		c.soft = 1
	}
	if config.properties != "" {
		c.properties = C.CString(config.properties)
		defer C.free(unsafe.Pointer(c.properties))
	}
	if config.grouped {
		c.name_group = C.CString(config.nameGroup)
		defer C.free(unsafe.Pointer(c.name_group))
	}
	if config.verifies {
		c.verifies_clients = 1
	}
	if config.labelled {
		c.client_auth = C.CString(config.clientAuth)
		defer C.free(unsafe.Pointer(c.client_auth))
	}
	if config.formed {
		c.data_form = C.CString(config.ticketData)
		defer C.free(unsafe.Pointer(c.data_form))
	}
	var report C.struct_stekc_report
	if err := resultError(C.stekc_attach(ctx, ks.table.store, &c, &report), &report); err != nil {
		return nil, fmt.Errorf("attach keystore: %w", err)
	}
	return ks.warningsOf(&report), nil
}

// Detach gives ctx back to OpenSSL's built-in keys. No handshake may run on ctx
// meanwhile. Tickets that ks issued are refused from then on.
func Detach(ctx unsafe.Pointer) error {
	var report C.struct_stekc_report
	if err := resultError(C.stekc_detach(ctx, &report), &report); err != nil {
		return fmt.Errorf("detach keystore: %w", err)
	}
	return nil
}

// Inspect returns the warnings that Attach would return for ctx now. Call it
// again after the configuration of ctx has changed.
func Inspect(ctx unsafe.Pointer, ks *Keystore) ([]Warning, error) {
	if ks == nil {
		return nil, fmt.Errorf("inspect SSL_CTX: %w: the keystore is nil", ErrNil)
	}
	var report C.struct_stekc_report
	if err := resultError(C.stekc_inspect(ctx, ks.windowSeconds(), &report), &report); err != nil {
		return nil, fmt.Errorf("inspect SSL_CTX: %w", err)
	}
	return ks.warningsOf(&report), nil
}

// windowSeconds is how long a ticket can be decrypted, rounded up; 0 unknown.
func (ks *Keystore) windowSeconds() C.int64_t {
	return C.int64_t((ks.window + time.Second - 1) / time.Second)
}

func resultError(result C.enum_stekc_result, report *C.struct_stekc_report) error {
	if result == C.STEKC_OK {
		return nil
	}
	return fmt.Errorf("%w: %s", resultErrors[result], C.GoString(&report.detail[0]))
}

func (ks *Keystore) warningsOf(report *C.struct_stekc_report) []Warning {
	var list []Warning
	for _, w := range []struct {
		bit     C.uint
		warning Warning
	}{
		{C.STEKC_WARN_NO_TICKET, WarnTicketsOff},
		{C.STEKC_WARN_ANTI_REPLAY, WarnStatefulEarlyData},
		{C.STEKC_WARN_NUM_TICKETS, WarnNoTickets13},
		{C.STEKC_WARN_TIMEOUT, WarnTimeout},
		{C.STEKC_WARN_ASYNC, WarnAsync},
	} {
		if w.warning == WarnAsync && ks.user == nil {
			continue // nobody is asked
		}
		if report.warnings&w.bit != 0 {
			list = append(list, w.warning)
		}
	}
	return list
}

// A table is the C side of a keystore: its key table, and the store that serves
// handshakes from it in this process, or nil.
type table struct {
	store   *C.struct_stekc_store
	keys    *C.struct_stekc_table
	shared  *SharedTable // whose memory this is, or nil
	refused []string     // protections of its memory that the system refused
}

// newTable makes the C side of ks. A user's KeyStore is asked through a handle,
// which lives until no SSL_CTX holds the store.
func newTable(ks *Keystore) (*table, error) {
	var ask C.struct_stekc_ask
	if ks.user != nil {
		h := &handled{ks: ks}
		h.handle = C.uintptr_t(cgo.NewHandle(h))
		ask.handle = h.handle
		ask.current = (*[0]byte)(C.stekgo_key_current)
		ask.named = (*[0]byte)(C.stekgo_key_named)
		ask.released = (*[0]byte)(C.stekgo_store_released)
		if ks.user.asksOnMiss {
			ask.on_miss = 1
		}
	}
	var refused C.uint
	store, err := C.stekc_store_new(C.STEK_PRIVATE, &ask, &refused)
	if store == nil {
		if ask.handle != 0 {
			cgo.Handle(ask.handle).Delete()
		}
		return nil, fmt.Errorf("make key table: %w", err)
	}
	t := &table{store: store, keys: C.stekc_store_table(store), refused: refusedNames(refused)}
	t.useClock(ks.source.Clock())
	return t, nil
}

// tableAt is the table at address, which C owns. There is no store: C serves
// handshakes from it by itself.
func tableAt(address unsafe.Pointer, clock backend.Clock) *table {
	t := &table{keys: (*C.struct_stekc_table)(address)}
	t.useClock(clock)
	return t
}

func (t *table) useClock(clock backend.Clock) {
	clocks := C.int(C.STEK_CLOCK_BOTH)
	if clock == backend.BootClock {
		clocks = C.STEK_CLOCK_BOOT
	}
	C.stekc_table_use_clock(t.keys, clocks)
}

func refusedNames(refused C.uint) []string {
	var names []string
	for _, protection := range []struct {
		bit  C.uint
		name string
	}{
		{C.STEK_NOT_LOCKED, "mlock"},
		{C.STEK_NOT_UNDUMPABLE, "MADV_DONTDUMP"},
		{C.STEK_NOT_WIPED_ON_FORK, "MADV_WIPEONFORK"},
	} {
		if refused&protection.bit != 0 {
			names = append(names, protection.name)
		}
	}
	return names
}

// close empties the table, and drops this reference to its store. A shared table
// stays as it is: servers go on with it.
func (t *table) close() {
	if t.shared != nil {
		return
	}
	C.stekc_table_publish(t.keys, 0)
	C.stekc_store_close(t.store)
}

// now reads the clocks by which windows begin and end.
func (t *table) now() ticketkey.Now {
	now := C.stekc_table_exactly_now(t.keys)
	return ticketkey.Now{Low: time.Unix(0, int64(now.low)), High: time.Unix(0, int64(now.high))}
}

// holdTime keeps the clocks from going back behind now.
func (t *table) holdTime() {
	t.regrow()
	C.stekc_table_hold_time(t.keys)
}

// regrow lets the memory of a shared table be touched that somebody cut off.
func (t *table) regrow() {
	if t.shared != nil {
		t.shared.regrow()
	}
}

func (t *table) stage() []C.struct_stek_key {
	return unsafe.Slice(C.stekc_table_stage(t.keys), C.STEK_MAX_KEYS)
}

// publish makes keys the keys in force. If one of them is not valid all stays
// as it is. The caller is the one writer.
func (t *table) publish(keys []Key) error {
	stage := t.stage()
	for i := range keys {
		if err := fillKey(&stage[i], &keys[i], nil); err != nil {
			for j := range stage {
				wipeKey(&stage[j])
			}
			return err
		}
	}
	C.stekc_table_publish(t.keys, C.size_t(len(keys)))
	return nil
}

// keep publishes those of the keys in force at now whose names are in kept.
func (t *table) keep(kept []publishedKey, now ticketkey.Now) {
	stage := t.stage()
	at := C.struct_stek_now{C.int64_t(now.Low.UnixNano()), C.int64_t(now.High.UnixNano())}
	n := 0
	for _, k := range kept {
		name := (*C.uchar)(unsafe.Pointer(&k.Name[0]))
		switch C.stekc_table_find(t.keys, name, at, &stage[n]) {
		case C.STEK_UPCOMING, C.STEK_CURRENT, C.STEK_PREVIOUS:
			n++
		}
	}
	C.stekc_table_publish(t.keys, C.size_t(n))
}

func (t *table) counts() Stats {
	t.regrow()
	ofKeys := C.stekc_table_counted_all(t.keys)
	count := func(c C.enum_stek_counter) uint64 { return uint64(C.stekc_table_counted(t.keys, c)) }
	return Stats{
		Issued:           uint64(ofKeys.issued),
		Renewed:          uint64(ofKeys.renewed),
		Accepted:         uint64(ofKeys.accepted),
		AcceptedPrevious: uint64(ofKeys.accepted_previous),
		Unknown:          count(C.STEK_COUNT_UNKNOWN),
		Expired:          count(C.STEK_COUNT_EXPIRED),
		Declined:         count(C.STEK_COUNT_DECLINED),
		Limited:          count(C.STEK_COUNT_LIMITED),
		Aged:             count(C.STEK_COUNT_AGED),
		Refused:          count(C.STEK_COUNT_REFUSED),
		Unplaced:         count(C.STEK_COUNT_UNPLACED),
		Misplaced:        count(C.STEK_COUNT_MISPLACED),
		Marked:           count(C.STEK_COUNT_MARKED),
		Errors:           count(C.STEK_COUNT_ERRORS),
		Asked:            count(C.STEK_COUNT_ASKED),
		NotAsked:         count(C.STEK_COUNT_NOT_ASKED),
		Contexts:         count(C.STEK_COUNT_CONTEXTS),
		Displaced:        count(C.STEK_COUNT_DISPLACED),
		TicketsOff:       count(C.STEK_COUNT_TICKETS_OFF),
		TicketsStateful:  count(C.STEK_COUNT_STATEFUL),
		TicketsNone13:    count(C.STEK_COUNT_NONE13),
		TicketsForced:    count(C.STEK_COUNT_FORCED),
	}
}

// list hands the keys in the table to use, which must keep no secret.
func (t *table) list(use func([]C.struct_stek_key)) {
	var keys [C.STEK_MAX_KEYS]C.struct_stek_key
	n := C.stekc_table_list(t.keys, &keys[0])
	use(keys[:n])
	for i := range keys {
		wipeKey(&keys[i])
	}
}

// keyCounts is the counts of every key in the table.
func (t *table) keyCounts() map[Name]KeyCounts {
	t.regrow()
	counts := map[Name]KeyCounts{}
	t.list(func(keys []C.struct_stek_key) {
		for i := range keys {
			c := C.stekc_table_counted_of(t.keys, &keys[i])
			counts[nameOf(&keys[i])] = KeyCounts{
				Issued:           uint64(c.issued),
				Renewed:          uint64(c.renewed),
				Accepted:         uint64(c.accepted),
				AcceptedPrevious: uint64(c.accepted_previous),
			}
		}
	})
	return counts
}

// keyWords is the size of a key in words of 64 bits.
const keyWords = C.sizeof_struct_stek_key / 8

func nameOf(key *C.struct_stek_key) Name { return *(*Name)(unsafe.Pointer(&key.name[0])) }

// fillKey copies k into out, which C owns and wipes. It looks at the copy: a
// secret may have changed since it was looked at last. If the copy is no valid
// key, out is wiped. known is where a KeyStore's valid keys are remembered, or nil.
func fillKey(out *C.struct_stek_key, k *Key, known *valid) error {
	aes, hmac := k.AESKey.Bytes(), k.HMACKey.Bytes()
	if len(aes) > len(out.aes_key) || len(hmac) > len(out.hmac_key) {
		return k.Validate() // a secret that is too long for its place
	}
	if len(aes) != len(out.aes_key) || len(hmac) != len(out.hmac_key) {
		*out = C.struct_stek_key{} // they do not fill their places
	}
	out.key_size, out.flags, out.count_at = C.uint32_t(len(aes)), 0, 0
	if k.AnyServerName {
		out.flags = C.STEK_KEY_ANY_NAME
	}
	out.not_before = nanoseconds(k.NotBefore, math.MinInt64)
	out.not_after = nanoseconds(k.NotAfter, math.MaxInt64)
	out.decrypt_until = nanoseconds(k.DecryptUntil, math.MaxInt64)
	*(*Name)(unsafe.Pointer(&out.name[0])) = k.Name
	copySecret((*[ticketkey.AESSize]byte)(unsafe.Pointer(&out.aes_key)), aes)
	copySecret((*[ticketkey.HMACSize]byte)(unsafe.Pointer(&out.hmac_key)), hmac)

	sum := sumOf((*[keyWords]uint64)(unsafe.Pointer(out)))
	if known.has(sum) {
		return nil
	}
	if err := validateCopy(*k, bytesOf(out.aes_key[:])[:len(aes)], bytesOf(out.hmac_key[:])[:len(hmac)]); err != nil {
		wipeKey(out)
		return err
	}
	known.add(sum)
	return nil
}

// validateCopy is k.Validate with these secrets in place of its own.
func validateCopy(k Key, aes, hmac []byte) error {
	k.AESKey, k.HMACKey = ticketkey.SecretOf(aes), ticketkey.SecretOf(hmac)
	return k.Validate()
}

// copySecret copies all of secret, which is not longer than to. One of 32 bytes goes
// through registers, without a call.
func copySecret(to *[32]byte, secret []byte) {
	if len(secret) != len(to) {
		copy(to[:], secret)
		return
	}
	for i := 0; i < len(to); i += 8 {
		binary.NativeEndian.PutUint64(to[i:], binary.NativeEndian.Uint64(secret[i:]))
	}
}

func wipeKey(out *C.struct_stek_key) {
	C.stekc_wipe(unsafe.Pointer(out), C.size_t(unsafe.Sizeof(*out)))
}

func bytesOf(c []C.uchar) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&c[0])), len(c))
}

// nanoseconds is t since 1970, open for the zero time, and the end of the range
// for what is too far from 1970 for 64 bits (292 years).
func nanoseconds(t time.Time, open int64) C.int64_t {
	if t.IsZero() {
		return C.int64_t(open)
	}
	return closest(t)
}

// closest is nanoseconds of a time that is not the zero time.
func closest(t time.Time) C.int64_t {
	const limit = math.MaxInt64 / int64(time.Second)
	switch seconds := t.Unix(); {
	case seconds >= limit:
		return math.MaxInt64
	case seconds <= -limit:
		return math.MinInt64
	}
	return C.int64_t(t.UnixNano())
}

// What a KeyStore is asked, as Err and the log call it.
const (
	askCurrent = "ask for the current key"
	askNamed   = "ask for a key by name"
)

// notAnswered is the result of a question as long as it is with the KeyStore.
const notAnswered = C.STEK_ASK_ERROR - 1

// stekgo_key_current fills out with the KeyStore's current key. It runs on
// handshake threads; C owns out and wipes it after use.
//
//export stekgo_key_current
func stekgo_key_current(handle C.uintptr_t, out *C.struct_stek_key) (result C.int) {
	ks := keystoreOf(handle)
	if !ks.questions.begin() {
		return C.STEK_ASK_NONE // it is being closed
	}
	result = notAnswered
	defer ks.endQuestion(nil, &result)
	key, err := ks.user.store.CurrentKey()
	if err == nil {
		if state := key.StateAt(ks.clock()); state != ticketkey.Current {
			// No failure of this handshake, which goes without a ticket.
			ks.health.note(askCurrent, fmt.Errorf("KeyStore, %s: %v is %v", askCurrent, key, state))
			return C.STEK_ASK_NONE
		}
		err = fillKey(out, &key, &ks.user.valid)
	}
	if err != nil {
		return ks.noAnswer(nil, err, ErrNoKeys)
	}
	ks.health.note(askCurrent, nil)
	return C.STEK_ASK_FOUND
}

// stekgo_key_named fills out with the KeyStore's key called name, 16 bytes, and
// tells whether another one encrypts. As stekgo_key_current.
//
//export stekgo_key_named
func stekgo_key_named(handle C.uintptr_t, name *C.uchar, out *C.struct_stek_key) (result C.int) {
	ks := keystoreOf(handle)
	wanted := (*Name)(unsafe.Pointer(name))
	if !ks.questions.begin() {
		return C.STEK_ASK_NONE
	}
	result = notAnswered
	defer ks.endQuestion(wanted, &result)
	key, err := ks.user.store.KeyNamed(*wanted)
	if err == nil && key.Name != *wanted {
		err = fmt.Errorf("it answered with %v", key.Name)
	}
	if err == nil {
		err = fillKey(out, &key, &ks.user.valid)
	}
	if err != nil {
		return ks.noAnswer(wanted, err, ErrNotFound)
	}
	ks.health.note(askNamed, nil)
	result = C.STEK_ASK_FOUND
	// Without an answer the key counts as current: it only is not renewed then.
	if current, err := ks.user.store.CurrentKey(); err == nil && current.Name != *wanted {
		out.flags |= C.STEK_KEY_SUPERSEDED
	}
	return result
}

// noAnswer is what C is told if a question, for the key called name or, nil, for the
// current one, ended with err: none if there is no such key. It notes how the question
// went.
func (ks *Keystore) noAnswer(name *Name, err, none error) C.int {
	if !errors.Is(err, none) {
		ks.failed(name, err)
		return C.STEK_ASK_ERROR
	}
	ks.health.note(question(name), nil)
	return C.STEK_ASK_NONE
}

func question(name *Name) string {
	if name == nil {
		return askCurrent
	}
	return askNamed
}

func (ks *Keystore) failed(name *Name, err error) {
	what := "the current key"
	if name != nil {
		what = "key " + name.String()
	}
	ks.health.note(question(name), fmt.Errorf("ask KeyStore for %s: %w", what, err))
}

// endQuestion ends what a question began, and stops a panic of the KeyStore at the
// export.
func (ks *Keystore) endQuestion(name *Name, result *C.int) {
	if cause := recover(); cause != nil || *result == notAnswered {
		ks.stopped(name, result, cause)
	}
	ks.questions.end()
}

// stopped notes a panic, or runtime.Goexit if cause is nil, which cannot be stopped. A
// key that was found before is used.
func (ks *Keystore) stopped(name *Name, result *C.int, cause any) {
	if cause == nil {
		cause = errExited
	}
	err := ks.user.panicked(cause)
	if *result != C.STEK_ASK_FOUND {
		*result = C.STEK_ASK_ERROR
		ks.failed(name, err)
	}
}

// A handled is what a handle stands for.
type handled struct {
	handle C.uintptr_t
	ks     *Keystore
}

// firstAsked is one that was asked and is not released yet, or nil. Most processes
// have no other, and to look a handle up takes half as long as to enter Go.
var firstAsked atomic.Pointer[handled]

func keystoreOf(handle C.uintptr_t) *Keystore {
	first := firstAsked.Load()
	if first != nil && first.handle == handle {
		return first.ks
	}
	h := cgo.Handle(handle).Value().(*handled)
	if first == nil {
		firstAsked.CompareAndSwap(nil, h)
	}
	return h.ks
}

// stekgo_store_released ends the handle: no SSL_CTX can ask any more.
//
//export stekgo_store_released
func stekgo_store_released(handle C.uintptr_t) {
	firstAsked.CompareAndSwap(cgo.Handle(handle).Value().(*handled), nil)
	cgo.Handle(handle).Delete()
}
