#!/usr/bin/env bash
# Makes the golden files of testdata/java again with the real Apache RocketMQ classes. The only things it needs are a JDK
# (17 or newer) and the jars: ROCKETMQ_JARS names their directory; without it Maven resolves them by name. usage:
#   [ROCKETMQ_VERSION=5.5.0] [ROCKETMQ_JARS=dir] test/golden/generate.sh [store|json|tags|sql]
# Records and JSON bodies are made for 5.5.0 only; of other versions there are store directories.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${ROCKETMQ_VERSION:-5.5.0}
what=${1:-all}
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
jars=${ROCKETMQ_JARS:-}
if [ -z "$jars" ]; then
  jars="$tmp/lib"
  { echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>golden</groupId>'
    echo '<artifactId>golden</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for a in broker tools; do
      echo "<dependency><groupId>org.apache.rocketmq</groupId><artifactId>rocketmq-$a</artifactId><version>$version</version></dependency>"
    done
    echo '</dependencies></project>'; } >"$tmp/pom.xml"
  mvn -q -B -f "$tmp/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars"
fi
if [ "$what" = all ] || [ "$what" = store ]; then
  javac -nowarn -d "$tmp/classes" -cp "$jars/*" test/golden/store/GoldenStore.java
  records="$PWD/internal/record/testdata/java/$version"
  [ "$version" = 5.5.0 ] || records=""
  java -Xmx512m -Dfile.encoding=UTF-8 -Duser.timezone=UTC -Djava.io.tmpdir="$tmp" -cp "$jars/*:$tmp/classes" GoldenStore \
    "$records" "$PWD/internal/storage/testdata/java/$version"
fi
if { [ "$what" = all ] || [ "$what" = json ]; } && [ "$version" = 5.5.0 ] && [ -x test/golden/json/run.sh ]; then
  test/golden/json/run.sh "$jars" "$version"
fi
# What Java's FilterAPI makes of tag expressions.
if { [ "$what" = all ] || [ "$what" = tags ]; } && [ "$version" = 5.5.0 ]; then
  javac -nowarn -d "$tmp/classes" -cp "$jars/*" test/golden/tags/GoldenTags.java
  java -Xmx256m -Dfile.encoding=UTF-8 -cp "$jars/*:$tmp/classes" GoldenTags "$PWD/internal/selector/testdata/java/$version/tags.tsv"
fi
# The verdicts of Java's filter on generated expressions; needs the peer set-up (test/peer/setup.sh).
if [ "$what" = all ] || [ "$what" = sql ]; then
  go test -count=1 -tags peer -run TestSQL92VerdictsAsJava ./test/peer -sql-golden "$PWD/internal/selector/testdata/java/5.5.0/sql.tsv"
fi
