// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	pb "github.com/parley-ipc/parley/proto/stage/v1"
)

func benchRPCVerb(a *app) *cobra.Command {
	var o rpcBench
	cmd := &cobra.Command{
		Use:   "rpc",
		Short: "Measure calls between two processes",
		Long: `Measures calls between two processes: one after the other, after both have
slept, from 64 callers at once, and a stream of answers; by Parley over shm,
unix and tcp, and by grpc-go on a unix socket, which is what the last column
compares with. The processor time is of both sides, for one call or message,
spinning included.

Each round measures every row in turn, and figures are medians over the rounds.`,
		Example: `  parley bench rpc
  parley bench rpc --size 65536 --duration 1s`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.size < 0 || o.size > 4<<20-64 || o.duration <= 0 || o.rounds < 1 {
				return usageError{errors.New("--size is up to 4 MiB less 64 bytes; --duration and --rounds have to be more than nothing")}
			}
			return o.run(cmd.Context(), a)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.size, "size", 64, "message size in bytes")
	f.DurationVar(&o.duration, "duration", 400*time.Millisecond, "about how long one cell takes")
	f.IntVar(&o.rounds, "rounds", 5, "rounds that share the duration")
	f.StringVar(&o.spin, "spin", "auto", "shm: auto, off or always: whether to burn CPU while waiting")
	return cmd
}

// rpcBench are the flags of bench rpc.
type rpcBench struct {
	size     int
	duration time.Duration
	rounds   int
	spin     string
}

// rpcRow is one cell: medians over the rounds, in nanoseconds.
type rpcRow struct {
	Mode  string  `json:"mode"`
	Who   string  `json:"who"`
	Time  float64 `json:"ns"`     // the median call, or elapsed by calls or messages
	CPU   float64 `json:"cpu_ns"` // both sides, for one
	Ratio float64 `json:"ratio"`  // Time against grpc-go's
}

// rpcReport is what bench rpc prints.
type rpcReport struct {
	Machine string   `json:"machine"`
	Size    int      `json:"size"`
	Rounds  int      `json:"rounds"`
	Rows    []rpcRow `json:"rows"`
}

// rpcSubject is a client of one server under measurement.
type rpcSubject struct {
	name   string
	peer   *peer.Peer
	cc     channel
	client pb.StageClient
}

const rpcBase = "grpc-go unix"

// rpcModes measure for about d, and return the time and the number of calls.
var rpcModes = []struct {
	name string
	run  func(ctx context.Context, c pb.StageClient, size int, d time.Duration) (time.Duration, int, error)
}{
	{"unary, awake", func(ctx context.Context, c pb.StageClient, size int, d time.Duration) (time.Duration, int, error) {
		return unaryTimes(ctx, c, size, d, 0)
	}},
	{"unary, after both slept", func(ctx context.Context, c pb.StageClient, size int, d time.Duration) (time.Duration, int, error) {
		return unaryTimes(ctx, c, size, d, benchPause)
	}},
	{"64 callers at once", manyCallers},
	{"stream of answers", pouring},
}

// unaryTimes is the median of calls made one after the other.
func unaryTimes(ctx context.Context, c pb.StageClient, size int, d, pause time.Duration) (time.Duration, int, error) {
	request := &pb.Payload{Body: make([]byte, size)}
	var took []time.Duration
	for end := time.Now().Add(d); len(took) == 0 || time.Now().Before(end); {
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return 0, 0, context.Cause(ctx)
			}
		}
		begin := time.Now()
		if _, err := c.Echo(ctx, request); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(begin))
	}
	return measure.Median(took), len(took), nil
}

// manyCallers is the time that passes for each call of them all.
func manyCallers(ctx context.Context, c pb.StageClient, size int, d time.Duration) (time.Duration, int, error) {
	const callers = 64
	var calls atomic.Int64
	errs := make([]error, callers)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			request := &pb.Payload{Body: make([]byte, size)}
			for errs[i] == nil && time.Since(begin) < d {
				_, errs[i] = c.Echo(ctx, request)
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	n := int(calls.Load())
	return time.Since(begin) / time.Duration(max(1, n)), n, errors.Join(errs...)
}

// pouring is the time that passes for each message of a stream.
func pouring(ctx context.Context, c pb.StageClient, size int, d time.Duration) (time.Duration, int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Pour(ctx, &pb.Order{Size: int32(size), Count: 1 << 40})
	if err != nil {
		return 0, 0, err
	}
	if _, err := stream.Recv(); err != nil {
		return 0, 0, err
	}
	n := 0
	begin := time.Now()
	for ; n == 0 || time.Since(begin) < d; n++ {
		if _, err := stream.Recv(); err != nil {
			return 0, 0, errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	return time.Since(begin) / time.Duration(n), n, nil
}

func (o rpcBench) run(ctx context.Context, a *app) (err error) {
	options, err := (&connectFlags{spin: o.spin}).shm()
	if err != nil {
		return err
	}
	program, err := asPeer()
	if err != nil {
		return err
	}
	stage, err := peer.NewStage(program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	stage.Stderr, stage.Spin = a.err, options.Spin
	subjects, err := rpcSubjects(ctx, stage)
	defer func() {
		for _, s := range subjects {
			if s.cc != nil {
				_ = s.cc.Close()
			}
			_ = s.peer.Close()
		}
	}()
	if err != nil {
		return err
	}
	report := rpcReport{Machine: measure.Machine(), Size: o.size, Rounds: o.rounds}
	for m := range rpcModes {
		rows, err := o.cells(ctx, subjects, m)
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
	}
	if a.json {
		return a.printJSON(report)
	}
	return a.printRPCBench(report)
}

func rpcSubjects(ctx context.Context, stage *peer.Stage) ([]*rpcSubject, error) {
	var subjects []*rpcSubject
	for _, w := range []struct {
		name   string
		scheme endpoint.Scheme
		stock  bool
	}{{"shm", endpoint.SHM, false}, {"unix", endpoint.Unix, false}, {"tcp", endpoint.TCP, false}, {rpcBase, endpoint.Unix, true}} {
		p, err := stage.Calls(ctx, w.scheme, w.stock, nil)
		if err != nil {
			return subjects, fmt.Errorf("%s: %w", w.name, err)
		}
		s := &rpcSubject{name: w.name, peer: p}
		subjects = append(subjects, s)
		if w.stock {
			s.cc, err = grpc.NewClient("passthrough:///bench", grpc.WithAuthority("localhost"),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.Dial(ctx) }),
				grpc.WithTransportCredentials(insecure.NewCredentials()))
		} else {
			s.cc, err = p.Client(nil)
		}
		if err != nil {
			return subjects, err
		}
		s.client = pb.NewStageClient(s.cc)
	}
	return subjects, nil
}

// cells measures all subjects in one mode, in rounds.
func (o rpcBench) cells(ctx context.Context, subjects []*rpcSubject, mode int) ([]rpcRow, error) {
	m := rpcModes[mode]
	slice := max(o.duration/time.Duration(o.rounds), 1)
	times, cpus := make([][]float64, len(subjects)), make([][]float64, len(subjects))
	for _, s := range subjects { // that was to warm up
		if _, _, err := m.run(ctx, s.client, o.size, slice/4); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", s.name, m.name, err)
		}
	}
	for range o.rounds {
		for i, s := range subjects {
			before, err := s.usage(ctx)
			if err != nil {
				return nil, err
			}
			t, n, err := m.run(ctx, s.client, o.size, slice)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", s.name, m.name, err)
			}
			after, err := s.usage(ctx)
			if err != nil {
				return nil, err
			}
			times[i], cpus[i] = append(times[i], float64(t)), append(cpus[i], float64(after-before)/float64(max(1, n)))
		}
	}
	base := slices.IndexFunc(subjects, func(s *rpcSubject) bool { return s.name == rpcBase })
	var rows []rpcRow
	for i, s := range subjects {
		ratios := make([]float64, o.rounds)
		for r := range ratios {
			ratios[r] = times[base][r] / max(times[i][r], 1)
		}
		rows = append(rows, rpcRow{m.name, s.name, measure.Median(times[i]), measure.Median(cpus[i]), measure.Median(ratios)})
	}
	return rows, nil
}

// usage is the processor time of both sides.
func (s *rpcSubject) usage(ctx context.Context) (time.Duration, error) {
	r, err := s.client.Usage(ctx, new(pb.Payload))
	return time.Duration(r.GetCpuNs()) + measure.OwnCPU(), err
}

func (a *app) printRPCBench(r rpcReport) error {
	fmt.Fprintf(a.out, "%s\nmessages of %s, medians of %d rounds; CPU is of both sides, for one\n", r.Machine, sizeText(r.Size), r.Rounds)
	mode := ""
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range r.Rows {
		if row.Mode != mode {
			mode = row.Mode
			fmt.Fprintf(w, "\n%s\t\tµs\tCPU µs\ttimes faster than %s\t\n", mode, rpcBase)
		}
		fmt.Fprintf(w, "\t%s\t%s\t%s\t%.2f\t\n", row.Who, micros(row.Time), micros(row.CPU), row.Ratio)
	}
	return w.Flush()
}
