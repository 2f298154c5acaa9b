package resultmap

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// content is what a ConfigMap is to hold of a result. Labels and annotations that others have put there stay, its data
// are these and no others.
type content struct {
	owner       metav1.OwnerReference
	labels      map[string]string
	annotations map[string]string
	data        map[string]string
}

// contentOf returns what an owner's ConfigMap is to hold of the result of a job at Dafty.
func contentOf(owner *Owner, jobID string, result *v1alpha1.JobResult) content {
	wanted := content{
		owner:       owner.reference(),
		labels:      map[string]string{},
		annotations: map[string]string{},
		data:        resultData(result),
	}
	if given := owner.Metadata; given != nil {
		for key, value := range given.Labels {
			wanted.labels[key] = string(value)
		}
		for key, value := range given.Annotations {
			wanted.annotations[key] = string(value)
		}
		wanted.annotations[v1alpha1.ResultMetadataAnnotation] = givenKeys{
			Labels: slices.Sorted(maps.Keys(given.Labels)), Annotations: slices.Sorted(maps.Keys(given.Annotations)),
		}.String()
	}
	wanted.labels[v1alpha1.ResultLabel] = v1alpha1.ResultLabelValue
	wanted.annotations[v1alpha1.ResultOfAnnotation] = lifecycle.Annotation(owner, jobID)
	return wanted
}

// digest tells a content from others.
func (c *content) digest() string {
	raw, err := json.Marshal([]any{c.owner.UID, c.labels, c.annotations, c.data})
	if err != nil {
		panic(err) // it is made of strings
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// version returns the value of status.resultConfigMapVersion for a ConfigMap that holds the content.
func (c *content) version(of *corev1.ConfigMap) string {
	return of.ResourceVersion + "-" + c.digest()
}

// recorded reports whether status says that the ConfigMap was written just so. What is missing in it now is somebody's doing.
func (c *content) recorded(owner *Owner) bool {
	_, digest, _ := strings.Cut(owner.StoredVersion, "-")
	return owner.StoredIn == owner.ConfigMap && digest == c.digest()
}

// put makes a ConfigMap hold the content. What was there of an earlier spec.resultConfigMapMetadata goes.
func (c *content) put(to *corev1.ConfigMap) {
	before := keysFrom(to.Annotations[v1alpha1.ResultMetadataAnnotation])
	to.Labels = replaced(to.Labels, before.Labels, c.labels)
	to.Annotations = replaced(to.Annotations, append(before.Annotations, v1alpha1.ResultMetadataAnnotation), c.annotations)
	if !metav1.IsControlledBy(to, &metav1.ObjectMeta{UID: c.owner.UID}) {
		to.OwnerReferences = slices.DeleteFunc(to.OwnerReferences, func(ref metav1.OwnerReference) bool {
			return ref.UID == c.owner.UID || ref.Controller != nil && *ref.Controller
		})
		to.OwnerReferences = append(to.OwnerReferences, c.owner)
	}
	if !c.sameData(to) {
		to.Data, to.BinaryData = c.data, nil
	}
}

// sameData reports whether a ConfigMap has the data of the content, and no others.
func (c *content) sameData(of *corev1.ConfigMap) bool {
	return maps.Equal(of.Data, c.data) && len(of.BinaryData) == 0
}

// replaced returns a map with some of its keys replaced by others.
func replaced(in map[string]string, keys []string, by map[string]string) map[string]string {
	if in == nil {
		in = map[string]string{}
	}
	for _, key := range keys {
		delete(in, key)
	}
	maps.Copy(in, by)
	return in
}

// givenKeys are the keys of the labels and annotations that a ConfigMap has from spec.resultConfigMapMetadata.
type givenKeys struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

// String returns the value of v1alpha1.ResultMetadataAnnotation.
func (k givenKeys) String() string {
	raw, err := json.Marshal(k)
	if err != nil {
		panic(err) // it is made of strings
	}
	return string(raw)
}

// keysFrom reads that value. One that somebody has changed to something else has no keys.
func keysFrom(value string) (keys givenKeys) {
	if json.Unmarshal([]byte(value), &keys) != nil {
		return givenKeys{}
	}
	return keys
}

// resultData returns the keys of a result's ConfigMap. They are fit for files and for environment variables.
func resultData(result *v1alpha1.JobResult) map[string]string {
	data := map[string]string{}
	put := func(key, value string) {
		if value != "" {
			data[key] = value
		}
	}
	number := func(key string, value *int32) {
		if value != nil {
			data[key] = strconv.Itoa(int(*value))
		}
	}
	for i, image := range result.Images {
		prefix := fmt.Sprintf("image_%d_", i)
		put(prefix+"url", image.URL)
		put(prefix+"id", image.ID)
		number(prefix+"width", image.Width)
		number(prefix+"height", image.Height)
	}
	if video := result.Video; video != nil {
		put("video_url", video.URL)
		put("video_id", video.ID)
		put("video_thumbnail_url", video.ThumbnailURL)
		number("video_width", video.Width)
		number("video_height", video.Height)
		number("video_duration_seconds", video.DurationSeconds)
	}
	if result.Style != nil {
		put("style_id", result.Style.ID)
	}
	return data
}
