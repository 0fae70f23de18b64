#!/usr/bin/env bash
# Brings what the interop tests need: a JDK and Maven (from the system's package manager, when missing and allowed), the
# jars of Apache RocketMQ through Maven, and the compiled Java clients of test/peer/java*, in build/. Says what it does; quick when
# everything is there. Without a JVM or without a network the interop tests skip with a reason, so this script ends with 0
# then. A C compiler is for the race detector.
set -euo pipefail
cd "$(dirname "$0")"
CACHE=${COMETMQ_PEER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cometmq-peer}
say() { echo "setup: $*"; }

# packages NAME ... : installs them with the system's package manager, when that is possible
packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
  say "installing $* with apt-get"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}
# missing REASON : the tests say themselves that they skip
missing() { say "$*: the tests against Java will be skipped"; exit 0; }

command -v cc >/dev/null || command -v gcc >/dev/null || packages gcc libc6-dev ||
  say "no C compiler here: the race detector will be skipped"
command -v openssl >/dev/null || packages openssl || say "no openssl here: the tests with its keys will be skipped"
if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
  packages default-jdk-headless maven || missing "no JDK or no Maven here"
fi

# jars NAME GROUP:ARTIFACT:VERSION ... : copies the artifacts and what they need into $CACHE/NAME
jars() {
  local name=$1 dst="$CACHE/$1"; shift
  [ -f "$dst/.complete" ] && return 0
  say "resolving $* into $dst"
  local tmp; tmp=$(mktemp -d)
  { echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>peer</groupId>'
    echo "<artifactId>peer-$name</artifactId><version>1</version><packaging>pom</packaging><dependencies>"
    local a g v
    for c in "$@"; do IFS=: read -r g a v <<<"$c"
      echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"; done
    echo '</dependencies></project>'; } >"$tmp/pom.xml"
  rm -rf "$dst"; mkdir -p "$dst"
  mvn -q -B -f "$tmp/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dst" ||
    missing "Maven cannot resolve $*"
  touch "$dst/.complete"; rm -rf "$tmp"
}

G=org.apache.rocketmq
jars server-5.5.0 $G:rocketmq-namesrv:5.5.0 $G:rocketmq-broker:5.5.0 $G:rocketmq-tools:5.5.0 $G:rocketmq-client:5.5.0 $G:rocketmq-example:5.5.0
jars server-5.3.3 $G:rocketmq-namesrv:5.3.3 $G:rocketmq-broker:5.3.3 $G:rocketmq-tools:5.3.3 $G:rocketmq-client:5.3.3
jars client-4.9.8 $G:rocketmq-client:4.9.8
jars qpid-jms-1.15.0 org.apache.qpid:qpid-jms-client:1.15.0
jars proto-2.1.2 $G:rocketmq-proto:2.1.2

# The Python client of RocketMQ 5, which speaks gRPC.
PY="$CACHE/python-5.1.2"
if [ ! -f "$PY/.complete" ]; then
  say "installing rocketmq-python-client 5.1.2 into $PY"
  rm -rf "$PY"
  if command -v python3 >/dev/null && python3 -m venv "$PY" && "$PY/bin/pip" install -q rocketmq-python-client==5.1.2; then touch "$PY/.complete"
  else say "no Python with venv, or pip cannot install it: the test with that client will be skipped"; fi
fi

# Compiled once for each client version, again when a source is newer or another set of sources: java/ is what all clients
# can do, java-5.5.0/ what the newest can, java-jms/ what JMS clients can.
BUILD=${PWD%/test/peer}/build
for v in server-5.5.0 client-4.9.8 qpid-jms-1.15.0; do
  out="$BUILD/classes-$v"
  case $v in
    qpid-jms-*) sources=$(ls java/Run.java java-jms/*.java) ;;
    *) sources=$(ls java/*.java; [ ! -d "java-${v#*-}" ] || ls "java-${v#*-}"/*.java) ;;
  esac
  if [ "$(cat "$out/.complete" 2>/dev/null)" != "$sources" ] || [ -n "$(find $sources -newer "$out/.complete")" ]; then
    say "compiling the Java clients for $v"
    rm -rf "$out"; mkdir -p "$out"
    # shellcheck disable=SC2086
    javac -nowarn -Xlint:none -d "$out" -cp "$CACHE/$v/*" $sources
    echo "$sources" >"$out/.complete"
  fi
done
# Archives of the classes that Java's servers and clients load, for this JVM and these jars: with one a JVM starts in half of the time.
of="$(java -version 2>&1; cd "$CACHE"; ls -ln server-5.5.0 server-5.3.3 client-4.9.8)"
if [ "$(cat "$CACHE/archives.of" 2>/dev/null)" != "$of" ] && command -v go >/dev/null; then
  say "making archives of Java's classes, once"
  if out=$(go test -count=1 -timeout 10m -tags peer -run '^TestMakeArchives$' . -archives 2>&1); then
    printf '%s\n' "$of" >"$CACHE/archives.of"
  else
    say "no archives of Java's classes, so that each JVM takes longer to start: $(tail -5 <<<"$out")"
  fi
fi
say "ready: $CACHE"
