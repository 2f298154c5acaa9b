package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // clips
	_ "image/png" // images
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// downloads saves the results of jobs as files.
type downloads struct {
	folder string
	client *http.Client

	mu    sync.Mutex
	saved map[types.UID]bool
}

func newDownloads(folder string) *downloads {
	return &downloads{folder: folder, client: &http.Client{Timeout: time.Minute}, saved: map[types.UID]bool{}}
}

// keepUp saves results as soon as they are there, until stop is called. saveAll returns the errors of those that it can't save.
func (a *downloads) keepUp(b *jobTracker) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			jobs, changed := b.look()
			_ = a.saveAll(ctx, jobs)
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
	return func() error { cancel(); work.Wait(); return nil }
}

// saveAll saves the results that aren't saved yet.
func (a *downloads) saveAll(ctx context.Context, jobs map[string]jobState) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, job := range jobs {
		if job.Status.Phase != v1alpha1.PhaseCompleted || a.saved[job.UID] {
			continue
		}
		if err := a.save(ctx, job); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", job.Name, err))
			continue
		}
		a.saved[job.UID] = true
	}
	return errors.Join(errs...)
}

func (a *downloads) save(ctx context.Context, job jobState) error {
	for _, p := range picturesOf(job) {
		if err := a.fetch(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.url, err)
		}
	}
	return nil
}

// picture is one result of a job that can be looked at.
type picture struct {
	url, file     string
	width, height *int32
}

// picturesOf returns the pictures of a job, with names of files.
func picturesOf(job jobState) []picture {
	result := job.Status.Result
	if result == nil {
		return nil
	}
	var all []picture
	base := strings.ReplaceAll(jobName(job), "/", "-")
	for i, image := range result.Images {
		name := base
		if len(result.Images) > 1 {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		all = append(all, picture{url: image.URL, file: name + extension(image.URL), width: image.Width, height: image.Height})
	}
	if video := result.Video; video != nil {
		all = append(all, picture{url: video.URL, file: base + extension(video.URL), width: video.Width, height: video.Height})
	}
	return all
}

func extension(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return path.Ext(u.Path)
}

// fetch saves a picture, and checks its size against the result.
func (a *downloads) fetch(ctx context.Context, p picture) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	file, err := os.Create(filepath.Join(a.folder, p.file))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, answer.Body); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	config, _, err := image.DecodeConfig(file)
	switch {
	case err != nil:
		return err
	case p.width != nil && p.height != nil && (config.Width != int(*p.width) || config.Height != int(*p.height)):
		return fmt.Errorf("it is %d×%d pixels, not %d×%d as its job says", config.Width, config.Height, *p.width, *p.height)
	}
	return nil
}
