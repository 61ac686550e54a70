// SPDX-License-Identifier: GPL-2.0-only
// A client that uses go-criu, the library that runc and Podman are made with: CRIU IMAGES PID. One line for each request.

package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/checkpoint-restore/go-criu/v5"
	"github.com/checkpoint-restore/go-criu/v5/rpc"
	"github.com/checkpoint-restore/go-criu/v5/stats"
	"google.golang.org/protobuf/proto"
)

// Keeps the names of hooks; `refuse` says no at the first.
type hooks struct {
	criu.NoNotify
	names  []string
	pid    int32
	refuse bool
}

func (h *hooks) PreDump() error {
	h.names = append(h.names, "pre-dump")
	if h.refuse {
		return fmt.Errorf("not now")
	}
	return nil
}
func (h *hooks) PostDump() error   { h.names = append(h.names, "post-dump"); return nil }
func (h *hooks) PreRestore() error { h.names = append(h.names, "pre-restore"); return nil }
func (h *hooks) PostRestore(pid int32) error {
	h.names = append(h.names, "post-restore")
	h.pid = pid
	return nil
}
func (h *hooks) PostResume() error { h.names = append(h.names, "post-resume"); return nil }

func must(what string, err error) {
	if err != nil {
		fmt.Println(what, err)
		os.Exit(1)
	}
}

func main() {
	pid, err := strconv.Atoi(os.Args[3])
	must("pid", err)
	images, err := os.Open(os.Args[2])
	must("images", err)
	client := criu.MakeCriu()
	client.SetCriuPath(os.Args[1])
	version, err := client.GetCriuVersion()
	must("version", err)
	atLeast, err := client.IsCriuAtLeast(31500)
	must("at least", err)
	fmt.Println("version", version, atLeast)
	features, err := client.FeatureCheck(&rpc.CriuFeatures{MemTrack: proto.Bool(true), LazyPages: proto.Bool(true)})
	must("features", err)
	fmt.Println("features", features.MemTrack != nil, features.LazyPages != nil)

	opts := func() *rpc.CriuOpts {
		return &rpc.CriuOpts{
			ImagesDirFd: proto.Int32(int32(images.Fd())),
			LogLevel:    proto.Int32(4),
			LogFile:     proto.String("client.log"),
		}
	}
	dump := opts()
	dump.Pid = proto.Int32(0x7fffffff)
	fmt.Println("no such process", client.Dump(dump, &hooks{}) != nil)
	dump = opts()
	dump.Pid = proto.Int32(int32(pid))
	refused := &hooks{refuse: true}
	fmt.Println("refused", client.Dump(dump, refused) != nil, refused.names)
	running := opts()
	running.Pid = proto.Int32(int32(pid))
	running.LeaveRunning = proto.Bool(true)
	must("leave running", client.Dump(running, nil))
	told := &hooks{}
	must("dump", client.Dump(dump, told))
	fmt.Println("dump", told.names)
	numbers, err := stats.CriuGetDumpStats(images)
	must("stats", err)
	fmt.Println("stats", numbers.GetPagesWritten() > 0, numbers.GetFrozenTime() > 0)
	for err == nil {
		time.Sleep(5 * time.Millisecond)
		_, err = os.Stat("/proc/" + os.Args[3])
	}
	told = &hooks{}
	must("restore", client.Restore(opts(), told))
	fmt.Println("restore", told.names, told.pid == int32(pid))
}
