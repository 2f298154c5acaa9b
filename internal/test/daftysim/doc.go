// Package daftysim is a simulated Dafty: the whole contract of package dafty
// over HTTP, with the documented rules (job life, prices, rate limits,
// idempotency keys) and a switch for everything that Dafty leaves undocumented
// (see [Variants]).
//
// It is strict where Dafty may be lenient. Every request and every answer is
// checked against the OpenAPI file; what a careful client would never do is
// answered as Dafty would and also recorded, see [Simulator.Violations].
// [Simulator.Inject] makes calls go wrong.
//
// No state changes by itself: a job's state is computed from the clock when
// somebody looks, so the simulator runs no goroutine of its own, and works with
// the real clock, with k8s.io/utils/clock/testing, and inside a testing/synctest
// bubble (there with [ServeInMemory], as real sockets never count as blocked).
package daftysim
