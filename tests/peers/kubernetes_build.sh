#!/usr/bin/env bash
# Builds the real kube-apiserver, kube-controller-manager and kubectl of Debian bookworm's source package into
# $E2EGRAPH_CACHE/kubernetes, and puts Debian's etcd beside them; some 7 minutes of CPU, once.
set -euo pipefail
home="${E2EGRAPH_CACHE:?}/kubernetes"
programs=(kube-apiserver kube-controller-manager kubectl)
mkdir -p "$home/bin" "$home/apt/sources" "$home/apt/lists/partial" "$home/apt/cache/archives/partial"

need=()
command -v go >/dev/null || need+=(golang-go)
command -v rsync >/dev/null || need+=(rsync)
command -v make >/dev/null || need+=(make)
command -v dpkg-source >/dev/null || need+=(dpkg-dev)
if [ ${#need[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"
fi

if [ ! -x "$home/bin/etcd" ]; then
  (cd "$home" && apt-get download -qq etcd-server && dpkg -x etcd-server_*.deb etcd && cp etcd/usr/bin/etcd bin/ && rm -rf etcd etcd-server_*.deb)
fi

# The machine's own sources of packages, asked for sources; its settings stay as they are.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -e "$file" ] && sed -E 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$home/apt/sources/$(basename "$file" | sed 's/^sources.list$/main.list/')"
done
apt=(apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$home/apt/sources"
     -o "Dir::State::lists=$home/apt/lists" -o "Dir::Cache=$home/apt/cache" -o APT::Sandbox::User=root)

if ! ls "$home"/kubernetes_1.20*.orig.tar.* >/dev/null 2>&1; then
  "${apt[@]}" update
  (cd "$home" && "${apt[@]}" source --download-only 'kubernetes/bookworm')
fi
if [ ! -e "$home/source/vendor" ]; then
  rm -rf "$home/source"
  mkdir "$home/source"
  tar xf "$home"/kubernetes_1.20*.orig.tar.* -C "$home/source" --strip-components=1
fi
cd "$home/source"
# The version is told by the environment, since the sources are no git repository.
cat >"$home/version" <<VERSION
KUBE_GIT_COMMIT='$(printf %040d 0)'
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v1.20.2'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
VERSION
env GOCACHE="$home/gocache" KUBE_GIT_VERSION_FILE="$home/version" \
  make WHAT="$(printf 'cmd/%s ' "${programs[@]}")" GOFLAGS="-p=${JOBS:-2}"
for program in "${programs[@]}"; do
  cp "_output/bin/$program" "$home/bin/"
done
rm -rf "$home/source" "$home/gocache"
