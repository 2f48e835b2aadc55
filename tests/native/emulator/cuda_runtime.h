// cuda_runtime.h: stands before CUDA's header of that name, so that g++ compiles .cuh files and runs them without a
// GPU.
//
// What is the same as on a GPU: blocks, threads, barriers, warp collectives, atomics, streams, events, errors that come
// late. What a GPU leaves undefined is an error that names block and thread, where it can be seen: see last_report().
//
// What is not seen:
//  - a misaligned access: the processor allows it, and looking at every address would cost more than the access;
//  - a race between two threads that neither changes a result with the order (run every Order, see block.h) nor crosses
//    a barrier; atomics are plain operations, because a thread runs until it waits;
//  - a __shared__ variable read before it is written: a GPU has garbage there, here are the last block's values;
//  - host code that follows a pointer to a device's memory, and a kernel that follows one to another device's;
//  - lanes that meet in the same kind of collective with the same mask at different places of the source.
// What differs: one kernel runs at a time, in the host thread that synchronises, under one lock for the whole runtime.
#pragma once
#include "atomics.h"
#include "block.h"
#include "controls.h"
#include "device.h"
#include "errors.h"
#include "intrinsics.h"
#include "launch.h"
#include "memory.h"
#include "qualifiers.h"
#include "streams.h"
#include "vector_types.h"
#include "warp.h"
