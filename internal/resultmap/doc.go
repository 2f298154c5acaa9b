// Package resultmap keeps results in ConfigMaps: it writes the result of a job at Dafty to the ConfigMap that an object's
// spec.resultConfigMap names, watches these ConfigMaps, and tells when one isn't as it was written.
//
// It knows no kind of object. A controller describes the object as an Owner, decides when to write, and tells what came of it.
// A ConfigMap that isn't the owner's is never touched.
package resultmap
