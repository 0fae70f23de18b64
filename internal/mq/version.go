package mq

import "fmt"

// VersionName returns Java's name of a client's or broker's version number (MQVersion.getVersionDesc), such as V5_5_0.
func VersionName(v int32) string {
	const higher = 612
	if v < 0 || v >= higher {
		return "HIGHER_VERSION"
	}
	end, snapshot := v, ""
	if v%2 == 0 && v > 14 {
		end, snapshot = v+1, "_SNAPSHOT"
	}
	if end >= 213 { // from 4.0.0 on: ten patches of ten minors, each with its snapshot before it
		n := end - 213
		return fmt.Sprintf("V%d_%d_%d%s", 4+n/200, n/20%10, n%20/2, snapshot)
	}
	if end < 17 {
		return fmt.Sprintf("V3_0_0(%d)", v) // alphas and betas
	}
	// 3.0 and 3.3 to 3.9 begin with their patch 1.
	minors := [...]struct{ first, patch int32 }{{17, 1}, {47, 0}, {67, 0}, {87, 1}, {105, 1}, {123, 1}, {141, 1}, {159, 1}, {177, 1}, {195, 1}}
	minor := len(minors) - 1
	for minors[minor].first > end {
		minor--
	}
	return fmt.Sprintf("V3_%d_%d%s", minor, (end-minors[minor].first)/2+minors[minor].patch, snapshot)
}
