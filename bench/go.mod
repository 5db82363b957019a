// Benchmarks beside peers; no part of the module itself, so that peers'
// dependencies are nobody's business.
module github.com/parley-ipc/parley/bench

go 1.26.0

replace github.com/parley-ipc/parley => ../

require (
	github.com/go-analyze/charts v0.6.4
	github.com/parley-ipc/parley v0.0.0
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/go-analyze/bulk v0.1.6 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	golang.org/x/image v0.45.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
