package controller

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestWatchOfThePresent(t *testing.T) {
	unreachable := errors.New("unreachable")
	for name, c := range map[string]struct {
		from, present    string
		listErr          error
		watched, setBack bool
		unlisted         bool
	}{
		"the first":                      {from: "", watched: true, unlisted: true},
		"of whatever is cached":          {from: "0", watched: true, unlisted: true},
		"nothing new":                    {from: "99", present: "99", watched: true},
		"later, with more digits":        {from: "99", present: "100", watched: true},
		"a store that was set back":      {from: "100", present: "99", setBack: true},
		"one that can't be compared":     {from: "100", present: "abc", watched: true},
		"an API server that isn't there": {from: "100", listErr: unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			listed, watched := false, false
			_, err := watchOfThePresent(
				func(context.Context, metav1.ListOptions) (runtime.Object, error) {
					listed = true
					return &v1alpha1.DaftyJobList{ListMeta: metav1.ListMeta{ResourceVersion: c.present}}, c.listErr
				},
				func(context.Context, metav1.ListOptions) (watch.Interface, error) {
					watched = true
					return watch.NewFake(), nil
				},
			)(t.Context(), metav1.ListOptions{ResourceVersion: c.from})
			if watched != c.watched || listed == c.unlisted || apierrors.IsResourceExpired(err) != c.setBack || errors.Is(err, unreachable) != (c.listErr != nil) {
				t.Errorf("watched: %v, listed: %v, %v", watched, listed, err)
			}
		})
	}
}
