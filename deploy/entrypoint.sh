#!/bin/sh
# numba reads kernels only from where it may write, so each container begins with a copy of the image's.
set -e
[ -d "$NUMBA_CACHE_DIR" ] || cp -R /opt/ouzel/kernels "$NUMBA_CACHE_DIR"
exec ouzel "$@"
