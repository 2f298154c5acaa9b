package main

import (
	"os"
	"path/filepath"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"

	daftyv1alpha1 "dafty.ai/dafty-operator/api/v1alpha1"
)

// customizations is where Argo CD's own tests would look.
const customizations = "resource_customizations/dafty.ai/DaftyJob"

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unmarshal knows all that may stand there: what is misspelt would else be left out of a test.
func unmarshal(t *testing.T, content string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
		t.Fatal(err)
	}
}

// equal compares as values: Lua itself compares tables by identity.
func equal(a, b lua.LValue) bool {
	x, ok := a.(*lua.LTable)
	if !ok {
		return a == b
	}
	y, ok := b.(*lua.LTable)
	if !ok {
		return false
	}
	same, fields := true, 0
	x.ForEach(func(k, v lua.LValue) {
		fields++
		same = same && equal(v, y.RawGet(k))
	})
	y.ForEach(func(lua.LValue, lua.LValue) { fields-- })
	return same && fields == 0
}

// Made-up objects must be such as an API server has, and each has to be in a test.
func TestEveryObjectIsADaftyJobAndTested(t *testing.T) {
	tested := map[string]bool{}
	for _, test := range healthTests(t) {
		tested["testdata/"+filepath.Base(test.InputPath)] = true
	}
	ofActions := actionTests(t)
	for _, test := range ofActions.DiscoveryTests {
		tested["actions/"+test.InputPath] = true
	}
	for _, test := range ofActions.ActionTests {
		tested["actions/"+test.InputPath], tested["actions/"+test.ExpectedOutputPath] = true, true
	}
	found := 0
	for _, folder := range []string{"testdata", "actions/testdata"} {
		entries, err := os.ReadDir(filepath.Join(customizations, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := folder + "/" + entry.Name()
			found++
			if !tested[name] {
				t.Errorf("no test reads %s", name)
			}
			job := daftyv1alpha1.DaftyJob{}
			unmarshal(t, read(t, customizations, name), &job)
			if job.APIVersion != "dafty.ai/v1alpha1" || job.Kind != "DaftyJob" || job.Name == "" || job.Namespace == "" {
				t.Errorf("%s is no DaftyJob", name)
			}
		}
	}
	if found != len(tested) {
		t.Errorf("%d objects, and %d are tested", found, len(tested))
	}
}
