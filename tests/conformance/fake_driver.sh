#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The engine conformance test on the cuda engine's host side, with the fake
# driver in place of a GPU. Runs from the top directory.
B=${B:-build}
LD_LIBRARY_PATH=$PWD/$B/test/fake exec "$B/test/engine_conformance" --engine cuda
