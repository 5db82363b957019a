// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

func serveHTTP(l net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		p, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(p)
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		for i := range 10 {
			_, _ = fmt.Fprintf(w, "line %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("GET /wait", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return func() { _ = server.Close(); <-done }
}

func callHTTP(ctx context.Context, dial Dial, conns int) error {
	tr := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxConnsPerHost: conns,
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	if err := httpStream(ctx, client); err != nil {
		return err
	}
	errs := make([]error, 2*conns)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for _, n := range []int{0, 1, 100, 1 << 20} {
				if errs[i] = httpEcho(ctx, client, bytes.Repeat([]byte{byte(i)}, n)); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return httpCancel(ctx, client)
}

func httpStream(ctx context.Context, client *http.Client) error {
	p, err := do(ctx, client, http.MethodGet, "/stream", nil)
	if err != nil || bytes.Count(p, []byte("\n")) != 10 {
		return fmt.Errorf("GET /stream: %q, %w", p, err)
	}
	return nil
}

func httpEcho(ctx context.Context, client *http.Client, body []byte) error {
	p, err := do(ctx, client, http.MethodPost, "/echo", body)
	if err != nil {
		return fmt.Errorf("POST /echo of %d bytes: %w", len(body), err)
	}
	if !bytes.Equal(p, body) {
		return fmt.Errorf("POST /echo of %d bytes: the answer differs", len(body))
	}
	return nil
}

// httpCancel ends a request that the server would never answer.
func httpCancel(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := do(ctx, client, http.MethodGet, "/wait", nil); ctx.Err() == nil {
		return fmt.Errorf("GET /wait ended before its deadline: %w", err)
	}
	return nil
}

func do(ctx context.Context, client *http.Client, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://peer"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	p, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return p, err
}
