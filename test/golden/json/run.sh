#!/bin/sh
# Writes the golden files of internal/protocol and internal/fastjson with the real RocketMQ classes.
# usage: test/golden/json/run.sh <directory with the jars of a RocketMQ release> [release]
set -eu
lib=$1
release=${2:-5.5.0}
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
javac -nowarn -d "$out" -cp "$lib/*" test/golden/json/*.java
java -Dfile.encoding=UTF-8 -Duser.timezone=UTC -cp "$lib/*:$out" GoldenJson \
    "internal/protocol/testdata/java/$release" "internal/fastjson/testdata/java/$release"
java -cp "$lib/*:$out" GoldenHeaders "internal/protocol/testdata/java/$release" "$lib/rocketmq-remoting-$release.jar"
