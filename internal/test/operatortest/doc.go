// Package operatortest runs the built operator as a process, for tests, the demo and the benchmarks.
//
//	p := operatortest.Run(t, operatortest.Config{
//		Program: operatortest.Program(t),
//		Args:    []string{"--kubeconfig=" + env.Kubeconfig, "--dafty-url=" + sim.URL},
//	})
//
// Programs that aren't tests use [Start] and [Process.Kill].
package operatortest
