package testkit

import "go.uber.org/goleak"

// ignored are goroutines that dependencies start once and never end: nothing
// that a test opens, so nothing that it could close. Each line says whose.
func ignored() []goleak.Option {
	return []goleak.Option{
		// klog, by the Kubernetes discovery: flushes its files every 5 s.
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		// client-go's work queues stop on their next tick, up to 0.5 s after ShutDown.
		goleak.IgnoreTopFunction("k8s.io/client-go/util/workqueue.(*Typed[...]).updateUnfinishedWorkLoop"),
	}
}

// VerifyLeaks runs the tests of a package and fails it when goroutines are left:
//
//	func TestMain(m *testing.M) { testkit.VerifyLeaks(m) }
//
// Extra options are for what only that package meets; each needs a comment.
func VerifyLeaks(m goleak.TestingM, extra ...goleak.Option) {
	goleak.VerifyTestMain(m, append(ignored(), extra...)...)
}

// VerifyNoLeaks fails one test when goroutines are left that did not run when it
// was called. Call it first: t.Cleanup runs the check after later cleanups.
func VerifyNoLeaks(t interface {
	goleak.TestingT
	Cleanup(fn func())
}, extra ...goleak.Option,
) {
	opts := append(ignored(), extra...)
	opts = append(opts, goleak.IgnoreCurrent())
	t.Cleanup(func() { goleak.VerifyNone(t, opts...) })
}
