#!/bin/sh
# numba reads compiled kernels only from a folder that it may write to, so each container starts
# with a copy of the kernels in the image.
set -e
[ -d "$NUMBA_CACHE_DIR" ] || cp -R /opt/ouzel/kernels "$NUMBA_CACHE_DIR"
exec ouzel "$@"
