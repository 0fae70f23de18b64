package mq

import "testing"

func TestVersionNamesAreJavas(t *testing.T) {
	t.Parallel()
	for v, want := range map[int32]string{
		17: "V3_0_1", 35: "V3_0_10", 46: "V3_1_0_SNAPSHOT", 87: "V3_3_1", 102: "V3_3_9_SNAPSHOT", 213: "V4_0_0", 395: "V4_9_1", 412: "V5_0_0_SNAPSHOT",
		479: "V5_3_3", 513: "V5_5_0", 611: "V5_9_9", 612: "HIGHER_VERSION", -1: "HIGHER_VERSION",
	} {
		if got := VersionName(v); got != want {
			t.Errorf("%d is %s, want %s", v, got, want)
		}
	}
}
