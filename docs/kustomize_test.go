package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// The files of the page about kustomize are applied, and all references in them are resolved.
func TestKustomizePage(t *testing.T) {
	e := newEnv(t)
	e.withSecret(t)
	startOperator(t, e.Env)
	root := installtest.Root(t)
	dir, err := filepath.EvalSymlinks(e.dir)
	if err != nil {
		t.Fatal(err)
	}
	component, err := filepath.Rel(filepath.Join(dir, "base"), filepath.Join(root, "config", "name-references"))
	if err != nil {
		t.Fatal(err)
	}
	logo, err := os.ReadFile(filepath.Join(root, "config", "samples", "campaign", "logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"base/logo.png": string(logo)}
	scripts := 0
	for _, b := range block.FindAllStringSubmatch(read(t, "kustomize.md"), -1) {
		if b[2] == "yaml" {
			name, found := strings.CutPrefix(strings.SplitN(b[3], "\n", 2)[0], "# ")
			if !found {
				t.Fatalf("a manifest doesn't say what file it is:\n%s", b[3])
			}
			files[name] = regexp.MustCompile(`https://\S+name-references\?ref=\S+`).ReplaceAllString(b[3], filepath.ToSlash(component))
		}
	}
	// The section about another name has the base's files, with that name.
	for _, name := range []string{"clip.yaml", "page.yaml"} {
		content := strings.NewReplacer("resultConfigMap: clip", "resultConfigMap: clip-urls", "configMapRef: {name: clip}", "configMapRef: {name: clip-urls}",
			"image: {jobRef: {name: hero}}", "image: {id: "+imageID+"}").Replace(files["base/"+name])
		if !strings.Contains(content, "clip-urls") {
			t.Errorf("%s doesn't name the ConfigMap", name)
		}
		files["other-name/"+name] = content
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range block.FindAllStringSubmatch(read(t, "kustomize.md"), -1) {
		if b[2] == "sh" {
			scripts++
			e.run(t, b[3])
		}
	}
	if scripts == 0 {
		t.Error("the page has no commands")
	}
	e.MustKubectl(t, "apply", "-k", filepath.Join(dir, "other-name"))
	e.MustKubectl(t, "wait", "--for=condition=ResultStored", "daftyjob/winter-clip", "--timeout="+patience.String())
	for _, name := range []string{"spring-clip", "autumn-clip", "winter-clip-urls"} {
		if url := e.MustKubectl(t, "get", "configmap", name, "-o", "jsonpath={.data.video_url}"); !strings.HasPrefix(url, "http") {
			t.Errorf("the address in %s is %q", name, url)
		}
	}
	for prefix, uses := range map[string]string{"spring-": "spring-clip", "autumn-": "autumn-clip", "winter-": "winter-clip-urls"} {
		got := e.MustKubectl(t, "get", "deployment", prefix+"page", "-o", "jsonpath={.spec.template.spec.containers[0].envFrom[0].configMapRef.name}")
		if got != uses {
			t.Errorf("%spage uses %s, want %s", prefix, got, uses)
		}
	}
}
