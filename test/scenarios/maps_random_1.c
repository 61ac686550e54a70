// SPDX-License-Identifier: GPL-2.0-only
// Mappings made, cut, moved, protected and advised at random (by a fixed seed), in a process and its children.
// @memory
// @skip-peer CRIU 4.1.1 loses protection, advice and offsets of mappings that a child has changed, or cannot dump them
// @mapped
#define SEED 11
#include "maps_random.h"
