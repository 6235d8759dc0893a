#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What no GPU survives, on the cuda engine's host side with the fake driver: a
# kernel that faults, and one that never ends. Runs from the top directory.
B=${B:-build}
LD_LIBRARY_PATH=$PWD/$B/test/fake exec "$B/test/engine_conformance" --engine cuda --fault
