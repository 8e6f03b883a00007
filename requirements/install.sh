#!/bin/sh
# Installs what the named files list, and nothing else. pip refuses a file that has none of the listed
# hashes.
#
#     sh requirements/install.sh .venv/bin/python runtime build dev
set -eu
python=$1
shift
folder=$(dirname "$0")

install() {
  for name in "$@"; do
    set -- "$@" --requirement "$folder/$name.txt"
    shift
  done
  "$python" -m pip install --quiet --no-deps --require-hashes "$@"
}

# With hashes, pip prefers the package index to a local folder. So a CPU build is asked for by its own
# version first. Where there is none, the build of the package index is installed below. Where pip has
# a constraint for torch, too, it says ResolutionImpossible.
install_cpu_build() {
  output=$(install torch-cpu 2>&1) && return
  case $output in
    *"No matching distribution found"* | *ResolutionImpossible*) ;;
    *) echo "$output" >&2; exit 1 ;;
  esac
}

needs_gpu_libraries='
from importlib.metadata import requires
raise SystemExit(not any(need.startswith(("nvidia-", "cuda-")) for need in requires("torch") or ()))'

case " $* " in *" runtime "*) install_cpu_build ;; esac
install "$@"
case " $* " in
  *" runtime "*) if "$python" -c "$needs_gpu_libraries"; then install gpu; fi ;;
esac
