package admin

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cometmq/cometmq/internal/mq"
)

func TestAnUpgradeWaitsForWhatWouldBeLost(t *testing.T) {
	t.Parallel()
	good := map[string]string{"commitLogDiskRatio": "0.3", "dispatchBehindBytes": "0"}
	master := func(slaves ...mq.SlaveStatus) upgradeMember {
		return upgradeMember{id: 0, addr: "m:1", info: good, ha: mq.HAStatus{Master: true, Slaves: slaves}}
	}
	slave := upgradeMember{id: 1, addr: "s:1", info: good}
	for _, c := range []struct {
		name    string
		members []upgradeMember
		others  bool
		want    string // level: a part of what is said
		faults  int
	}{
		{"all is well", []upgradeMember{master(mq.SlaveStatus{InSync: true}), slave}, true, "ok: 1 of its slaves", 0},
		{"one slave is enough", []upgradeMember{master(mq.SlaveStatus{Addr: "s", Behind: 1 << 30}, mq.SlaveStatus{InSync: true}), slave, slave}, true, "warn: slave s is 1073741824 bytes behind", 0},
		{"in sync, but far behind", []upgradeMember{master(mq.SlaveStatus{InSync: true, Behind: upgradeBehind + 1}), slave}, true, "fault: no slave has what the master has", 1},
		{"not in sync", []upgradeMember{master(mq.SlaveStatus{Behind: 1}), slave}, true, "fault: no slave has", 1},
		{"nobody replicates", []upgradeMember{master(), slave}, true, "fault: no slave has", 1},
		{"no slave, other sets", []upgradeMember{master()}, true, "warn: has no slave", 0},
		{"alone", []upgradeMember{master()}, false, "warn: is the only one", 0},
		{"no master", []upgradeMember{slave}, true, "fault: has no master", 1},
		{"a silent master", []upgradeMember{{id: 0, err: errors.New("gone")}, slave}, true, "fault: gone", 1},
		{"a silent slave", []upgradeMember{master(mq.SlaveStatus{InSync: true}), {id: 1, err: errors.New("gone")}}, true, "fault: gone", 1},
		{"a full disk", []upgradeMember{{id: 0, info: map[string]string{"commitLogDiskRatio": "0.81"}}}, true, "fault: the disk is 81% full", 1},
		{"dispatch is behind", []upgradeMember{{id: 0, info: map[string]string{"dispatchBehindBytes": "99999999"}}}, true, "warn: consume queues are 95 MiB", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &doctoring{c: &Call{format: "json"}}
			d.upgradeSet("a", c.members, c.others)
			var said []string
			for _, r := range d.c.rows {
				f, _ := r.(finding)
				said = append(said, f.Level+": "+f.What)
			}
			if got := strings.Join(said, "\n"); !strings.Contains(got, c.want) || d.faults != c.faults {
				t.Errorf("%d faults, said\n%s\nwant %d and %q", d.faults, got, c.faults, c.want)
			}
		})
	}
}

func TestSlavesComeBeforeMasters(t *testing.T) {
	t.Parallel()
	var o upgradeOrder
	o.add("a", []upgradeMember{{id: 0, addr: "1"}, {id: 1, addr: "2"}})
	o.add("b", []upgradeMember{{id: 0, addr: "3"}, {id: 1, addr: "4"}})
	var got []string
	for _, s := range o.steps() {
		got = append(got, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' })[0])
	}
	want := []string{"controllers", "name servers", "slave a:1 at 2", "slave b:1 at 4", "master a:0 at 1", "master b:0 at 3", "dashboards and tools"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if minor("V5_3_3") != "V5_3" || minor("V5") != "V5" || minor("") != "" {
		t.Error("minor versions")
	}
}
