package grpcapi

import (
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	v2 "github.com/cometmq/cometmq/proto/apache/rocketmq/v2"
)

type telemetry = grpc.BidiStreamingServer[v2.TelemetryCommand, v2.TelemetryCommand]

// maxTold is how many commands wait for a client that does not read; the next one ends its stream.
const maxTold = 64

// tube is the writing side of a telemetry stream. Whoever has something to tell puts it here and goes on; a goroutine writes while there is
// something.
type tube struct {
	d      *Door
	stream telemetry
	kicked chan struct{} // closed: the stream is to end

	mu      sync.Mutex // guards the rest
	todo    []*v2.TelemetryCommand
	writing bool
	over    bool
}

// send reports whether the command is on its way.
func (t *tube) send(cmd *v2.TelemetryCommand) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over:
		return false
	case len(t.todo) >= maxTold:
		t.endLocked()
		return false
	}
	t.todo = append(t.todo, cmd)
	if !t.writing {
		t.writing = true
		t.d.wg.Go(t.write)
	}
	return true
}

func (t *tube) endLocked() {
	if !t.over {
		t.over, t.todo = true, nil
		close(t.kicked)
	}
}

// end ends the stream.
func (t *tube) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked()
}

func (t *tube) write() {
	for {
		t.mu.Lock()
		if len(t.todo) == 0 {
			t.writing, t.todo = false, nil
			t.mu.Unlock()
			return
		}
		cmd := t.todo[0]
		t.todo = t.todo[1:]
		t.mu.Unlock()
		if err := t.stream.Send(cmd); err != nil {
			t.mu.Lock()
			t.writing = false
			t.endLocked()
			t.mu.Unlock()
			return
		}
	}
}

// Telemetry carries settings and commands for as long as the client is there.
func (d *Door) Telemetry(stream telemetry) error {
	c, err := d.callOf(stream.Context())
	if err != nil {
		_ = stream.Send(&v2.TelemetryCommand{Status: statusOf(err)})
		return nil // it has been told
	}
	t := &tube{d: d, stream: stream, kicked: make(chan struct{})}
	e := &ear{call: c, t: t}
	heard := make(chan error, 1)
	if !d.begin(func() { heard <- e.listen() }) {
		return grpcstatus.Error(codes.Unavailable, "the server ends")
	}
	defer t.end()
	defer e.leave()
	silent := time.NewTimer(d.o.Limits.WaitForSettings)
	defer silent.Stop()
	for {
		select {
		case err = <-heard:
			return err
		case <-t.kicked:
			return grpcstatus.Error(codes.Unavailable, "the client does not read, or was silent for too long")
		case <-d.ending:
			return grpcstatus.Error(codes.Unavailable, "the server ends")
		case <-silent.C:
			if e.client() == nil {
				return grpcstatus.Error(codes.InvalidArgument, "no settings")
			}
		}
	}
}

// begin runs f beside calls, until the door ends.
func (d *Door) begin(f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return false
	}
	d.wg.Go(f)
	return true
}

// ear is the reading side of a telemetry stream.
type ear struct {
	*call
	t *tube

	mu   sync.Mutex // guards the rest
	k    *client    // nil before the settings
	left bool
}

func (e *ear) client() *client {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.k
}

// leave ends what the client has with this stream.
func (e *ear) leave() {
	e.mu.Lock()
	e.left = true
	k := e.k
	e.mu.Unlock()
	if k != nil {
		k.detach(e.t)
	}
}

// listen reads until the stream ends.
func (e *ear) listen() error {
	for {
		cmd, err := e.t.stream.Recv()
		switch {
		case errors.Is(err, io.EOF): // the client has closed its side: so do we
			return nil
		case err != nil:
			return err
		}
		if err = e.hear(cmd); err != nil {
			return err
		}
	}
}

// hear does what one command says. An error ends the stream.
func (e *ear) hear(cmd *v2.TelemetryCommand) error {
	switch m := cmd.GetCommand().(type) {
	case *v2.TelemetryCommand_Settings:
		agreed, err := e.settings(m.Settings)
		if err == nil {
			e.t.send(&v2.TelemetryCommand{Status: status(v2.Code_OK, ""), Command: &v2.TelemetryCommand_Settings{Settings: agreed}})
			return nil
		}
		st := statusOf(err)
		switch {
		case st.GetCode() == v2.Code_UNAUTHORIZED:
			e.t.send(&v2.TelemetryCommand{Status: st})
			return nil
		case st.GetCode() >= v2.Code_BAD_REQUEST && st.GetCode() < v2.Code_INTERNAL_ERROR:
			return grpcstatus.Error(codes.InvalidArgument, st.GetMessage())
		}
		return grpcstatus.Error(codes.Internal, st.GetMessage())
	case *v2.TelemetryCommand_ThreadStackTrace:
		if k := e.client(); k != nil {
			k.answered(m.ThreadStackTrace.GetNonce(), cmd, nil)
		}
	case *v2.TelemetryCommand_VerifyMessageResult:
		if k := e.client(); k != nil {
			k.answered(m.VerifyMessageResult.GetNonce(), cmd, nil)
		}
	}
	return nil
}

// settings registers the client.
func (e *ear) settings(s *v2.Settings) (agreed *v2.Settings, err error) {
	core, err := e.d.enter()
	if err != nil {
		return nil, err
	}
	defer core.leave()
	if _, err = e.register(core, s); err != nil {
		return nil, err
	}
	k, err := e.d.clientOf(e.call)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	if e.left {
		e.mu.Unlock()
		return nil, refuse(v2.Code_BAD_REQUEST, "the stream has ended")
	}
	e.k = k
	k.attach(e.t)
	e.mu.Unlock()
	return k.apply(e.ctx, core, s, e.call)
}
