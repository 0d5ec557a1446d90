// RUN: wyvern-opt %s -split-input-file -verify-diagnostics

// One test for each constraint of docs/sched.md, which it is named after. What the
// channels of a kernel ask for (K27, K30 to K37, K39) is in protocol.mlir.

//===----------------------------------------------------------------------===//
// sched.kernel
//===----------------------------------------------------------------------===//

func.func @kernel_k1(%x: tensor<?x?x2x64xbf16>) {
  // expected-error @+1 {{(K1) expected the region's arguments to be its ins, outs, inits and finals}}
  "sched.kernel"(%x) <{chunk = 64 : i64, compute = f32, heads = 2 : i64, in_bindings = [#delta.binding<[seq, time, head, _]>], init_bindings = [], kernel_name = "k", min_blocks = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0>, out_bindings = [], over = #sched<grid_over sequences>, resultSegmentSizes = array<i32: 0, 0>, run = 1 : i64, split = 1 : i64}> ({
  ^bb0:
  }) : (tensor<?x?x2x64xbf16>) -> ()
  return
}

// -----

func.func @kernel_k2(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K2) expected one final of the same type for each init}}
  "sched.kernel"(%x, %s0) <{chunk = 64 : i64, compute = f32, heads = 2 : i64, in_bindings = [#delta.binding<[seq, time, head, _]>], init_bindings = [#delta.binding<[seq, head, _, _]>], kernel_name = "k", min_blocks = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0>, out_bindings = [], over = #sched<grid_over sequences>, resultSegmentSizes = array<i32: 0, 0>, run = 1 : i64, split = 1 : i64}> ({
  ^bb0(%in: !sched.global<tensor<?x?x2x64xbf16>>, %init: !sched.global<tensor<?x2x64x64xf32>>):
  }) : (tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>) -> ()
  return
}

// -----

func.func @kernel_k3(%x: tensor<?x?x2x64xbf16>) {
  // expected-error @+1 {{(K3) expected one binding for each in, init and out}}
  "sched.kernel"(%x) <{chunk = 64 : i64, compute = f32, heads = 2 : i64, in_bindings = [#delta.binding<[seq, time, head, _]>], init_bindings = [], kernel_name = "k", min_blocks = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0>, out_bindings = [#delta.binding<[seq, time, head, _]>], over = #sched<grid_over sequences>, resultSegmentSizes = array<i32: 0, 0>, run = 1 : i64, split = 1 : i64}> ({
  ^bb0(%in: !sched.global<tensor<?x?x2x64xbf16>>):
  }) : (tensor<?x?x2x64xbf16>) -> ()
  return
}

// -----

func.func @kernel_k4(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K4) expected heads, split, run, chunk and min_blocks of 1 to 1048576, found -9223372036854775808}}
  %r:1 = sched.kernel "k" grid(heads = 2, split = -9223372036854775808, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k5(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K5) expected compute type f32 or f64, found 'f16'}}
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f16 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k6(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{'tensor.empty' op (K6) is not allowed in sched.kernel; it holds constants, sched.channel and sched.role}}
    %e = tensor.empty() : tensor<64x64xf32>
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k7(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{'sched.channel' op (K7) expected channels before roles}}
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
  }
  return
}

// -----

func.func @kernel_k8(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{(K8) expected another name than "only", which an earlier role has}}
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k9(%x: tensor<?x?x2x64xbf16>) {
  // expected-error @+1 {{(K9) expected one bound dimension for each dimension of a tensor, found #delta.binding<[seq, time, _]> for 'tensor<?x?x2x64xbf16>'}}
  "sched.kernel"(%x) <{chunk = 64 : i64, compute = f32, heads = 2 : i64, in_bindings = [#delta.binding<[seq, time, _]>], init_bindings = [], kernel_name = "k", min_blocks = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0>, out_bindings = [], over = #sched<grid_over sequences>, resultSegmentSizes = array<i32: 0, 0>, run = 1 : i64, split = 1 : i64}> ({
  ^bb0(%in: !sched.global<tensor<?x?x2x64xbf16>>):
  }) : (tensor<?x?x2x64xbf16>) -> ()
  return
}

// -----

func.func @kernel_k9_whole(%x: tensor<?x?x2x?xbf16>) {
  // expected-error @+1 {{(K9) expected a static size where a dimension is kept whole, found #delta.binding<[seq, time, head, _]> for 'tensor<?x?x2x?xbf16>'}}
  sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x?xbf16>) {
  }
  return
}

// -----

func.func @kernel_k9_heads(%x: tensor<?x?x3x64xbf16>) {
  // expected-error @+1 {{(K9) expected heads that divide the grid's, found #delta.binding<[seq, time, head, _]> for 'tensor<?x?x3x64xbf16>'}}
  sched.kernel "k" grid(heads = 4, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x3x64xbf16>) {
  }
  return
}

// -----

func.func @kernel_k24(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K24) expected one sched.store to out #0, found 0}}
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k24_twice(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K24) expected one sched.store to out #0, found 2}}
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "too" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k25(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) -> tensor<?x2x64x64xf32> {
  // expected-error @+1 {{(K25) expected one sched.store to final #0 (or none, if nobody reads it), found 0}}
  %r = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.yield %S : tensor<64x64xf32>
      }
    }
  }
  return %r : tensor<?x2x64x64xf32>
}

// -----

func.func @kernel_k25_twice(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K25) expected one sched.store to final #0 (or none, if nobody reads it), found 2}}
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.yield %S : tensor<64x64xf32>
      }
      sched.store %SN to %final : tensor<64x64xf32>, !sched.global<tensor<?x2x64x64xf32>>
      sched.store %SN to %final : tensor<64x64xf32>, !sched.global<tensor<?x2x64x64xf32>>
    }
  }
  return
}

// -----

func.func @kernel_k28(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K28) expected carries bound to neither chunk nor time, in a kernel over sequences, found #delta.binding<[chunk, head, _, _]>}}
  %sN = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[chunk, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [chunk, head, _, _] : tensor<?x2x64x64xf32>) {
  }
  return
}

// -----

func.func @kernel_k28_slots(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K28) expected carries bound to chunk * 4, the slot of a block, found #delta.binding<[seq, head, _, _]>}}
  %sN = sched.kernel "k" grid(heads = 2, split = 1, over = slots of 4) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
  }
  return
}

// -----

func.func @kernel_k45(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  // expected-error @+1 {{(K45) expected slots to read and to write where carries are bound to slot, all of them, in a kernel over sequences, and none elsewhere}}
  %sN = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[slot, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [slot, head, _, _] : tensor<?x2x64x64xf32>) {
  }
  return
}

// -----

func.func @kernel_k51(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(K51) expected keep and round, of the type of slots, and else zeros where carries are bound to slot}}
  %sN = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>) keep(%r : tensor<?xi32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
  }
  return
}

// -----

func.func @kernel_k45_runs(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(K45) expected slots to read and to write where carries are bound to slot, all of them, in a kernel over sequences, and none elsewhere; but in one over slots with keep the second of two inits, where the first is kept}}
  %sN = sched.kernel "k" grid(heads = 2, split = 1, over = slots of 4) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[chunk * 4, head, _, _] : tensor<?x2x64x64xf32>) keep(%r : tensor<?xi32>, first = 0)
      finals(%final = [chunk * 4, head, _, _] : tensor<?x2x64x64xf32>) {
  }
  return
}

// -----

func.func @kernel_k47(%x: tensor<?x?x2x64xbf16>) {
  // expected-error @+1 {{(K47) is of clusters: expected a split of at least 2, whose blocks are one cluster, found 1}}
  %y = sched.kernel "k" grid(heads = 2, split = 1 cluster, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k54(%x: tensor<?x?x3x64xbf16>) {
  // expected-error @+1 {{(K54) has heads in pairs: expected an even number of heads and a split of 1, found 3 and 1}}
  %y = sched.kernel "k" grid(heads = 3 in pairs, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x3x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x3x64xbf16>) {
    %in2 = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %in2 : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out direct : tensor<64x64xf32>, !sched.global<tensor<?x?x3x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x3x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %in2 : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k52(%x: tensor<?x?x4x64xbf16>) {
  // expected-error @+1 {{(K52) sums the heads of a pair in out #0: expected heads in pairs, and a direct store by a role of one group of warps; the blocks of a pair hand each other half of it}}
  %y = sched.kernel "k" grid(heads = 4, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x4x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %in2 = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %in2 : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out direct : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x4x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %in2 : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k52_staged(%x: tensor<?x?x4x64xbf16>) {
  // expected-error @+1 {{(K52) sums the heads of a pair in out #0}}
  %y = sched.kernel "k" grid(heads = 4 in pairs, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x4x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %in2 = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %in2 : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x4x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %in2 : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k49(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K49) is divided: expected a kernel with a split cluster, and a role that is within no other, of one group of warps for each of its copies, without carries}}
    sched.role "copy" warps 4 divided {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k57(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K57) is in_turn: expected a kernel with a split cluster, and a role that is not divided, within no other and that no other is within, of one group of warps for each of its copies, without carries}}
    sched.role "copy" warps 4 in_turn {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k46(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K46) is on_cores: expected it to be the only role, of one group of warps, in a kernel without channels; its tiles lie in registers, where no other role can reach them}}
    sched.role "cores" warps 4 on_cores {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<1x64xf32>
        sched.store %X to %out : tensor<1x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "idle" warps 1 {
      sched.each_chunk forward valid(%n) {
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k50(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K50) has share_rows: expected a role on_cores; others get their rows from channels}}
    sched.role "plain" warps 4 share_rows 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<1x64xf32>
        sched.store %X to %out : tensor<1x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k53(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 1 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K53) has share_rows 65: expected from 1 to 64 tokens whose rows are there at once}}
    sched.role "plain" warps 4 on_cores share_rows 65 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<1x64xf32>
        sched.store %X to %out : tensor<1x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @kernel_k29(%w: tensor<2x64xbf16>) {
  // expected-error @+1 {{(K29) expected an in with a time dimension, which says how many tokens there are}}
  sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %w[head, _] : tensor<2x64xbf16>) {
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// sched.channel
//===----------------------------------------------------------------------===//

func.func @channel_k10(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K10) expected a depth of 1 to 1024 chunks, found 0}}
    %c = sched.channel depth 0 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k11(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K11) expected tiles of static shape, found 'tensor<?x64xbf16>'}}
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<?x64xbf16>>
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// sched.role
//===----------------------------------------------------------------------===//

func.func @role_k12(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K12) expected 1 to 1024 warps, parts and copies, found 0}}
    sched.role "only" warps 0 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k13(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{(K13) expected one sched.each_chunk: the loop over the block's chunks}}
    sched.role "idle" warps 4 {
    }
  }
  return
}

// -----

func.func @role_k22(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      // expected-error @+1 {{'tensor.empty' op (K22) is not allowed in sched.role outside of sched.each_chunk; a role holds what carries start from (constants, delta.identity, loads), one sched.each_chunk and stores of final carries}}
      %e = tensor.empty() : tensor<64x64xf32>
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k26(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 copies 3 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      // expected-error @+1 {{(K26) has carries in a role with copies; each copy visits one chunk in 3, so what it leaves is not what the next chunk needs}}
      %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.yield %S : tensor<64x64xf32>
      }
    }
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// sched.each_chunk
//===----------------------------------------------------------------------===//

func.func @each_chunk_k14(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      // expected-error @+1 {{(K14) expected inits, region arguments, yielded carries and results of the same types}}
      %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @each_chunk_k38(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      // expected-error @+1 {{(K38) expected carries; chunks that hand nothing on need no overlap, another copy of the role runs beside it}}
      sched.each_chunk forward overlap valid(%n) {
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k40(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{(K40) is within "other": expected the name of a role of this kernel that is within no other and ends each chunk before the next (no overlap)}}
    sched.role "load" warps 1 within "other" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k40_copies(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 4 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{(K40) is within "copy", of which 2 copies take chunks in turn: expected puts a multiple of these and less than the channel's depth ahead, and depths that are multiples too; a copy brings tiles of the chunks that it takes}}
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c ahead 1 : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @role_k41(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    // expected-error @+1 {{(K41) is within role "copy": expected one warp that loads and puts and does nothing else, without a budget of registers; what computes or waits for another role needs warps of its own}}
    sched.role "load" warps 4 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k42(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K42) expected at most 2 chunks ahead, the channel's depth; the role it is within would wait for itself, found 3}}
        sched.put %X to %c ahead 3 : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k42_alone(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K42) expected at most 0 chunks ahead, in a role that is within no other; it runs ahead by itself, found 1}}
        sched.put %X to %c ahead 1 : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @store_k45(%x: tensor<?x?x2xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head] : tensor<?x?x2xf32>)
      outs(%out = [seq, time, head] : tensor<?x?x2xf32>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64xf32>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64xf32>> -> tensor<64xf32>
        // expected-error @+1 {{(K45) expected a matrix of tokens in 16 bits, and no via; nothing else leaves from registers in whole sectors}}
        sched.store %X to %out direct : tensor<64xf32>, !sched.global<tensor<?x?x2xf32>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %X to %c : !sched.channel<tensor<64xf32>>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @store_k44(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        // expected-error @+1 {{(K44) expected to leave through a tile of the target's shape and element type, out of a channel that no other role reads, with nothing computed behind it in the chunk; what is still read must not be overwritten}}
        sched.store %X to %out via %Y : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @store_k44_behind(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K44) expected to leave through a tile of the target's shape and element type, out of a channel that no other role reads, with nothing computed behind it in the chunk; what is still read must not be overwritten}}
        sched.store %X to %out via %X : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>, tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @each_chunk_k23(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{'scf.execute_region' op (K23) is not allowed in sched.each_chunk; it holds the operations of a chunk program, and sched.get, put, load and store}}
        scf.execute_region {
          scf.yield
        }
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// sched.load, sched.store
//===----------------------------------------------------------------------===//

func.func @load_k15(%g: !sched.global<tensor<?x?x2x64xbf16>>) {
  // expected-error @+1 {{(K15) expected an argument of the kernel}}
  %X = sched.load %g : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
  return
}

// -----

func.func @load_k16(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K16) expected an in or init of the kernel, found its region argument #1}}
        %X = sched.load %out : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @store_k16(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K16) expected an out or final of the kernel, found its region argument #0}}
        sched.store %X to %in : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @load_k17(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K17) expected a tile 'tensor<64x64xf32>', found 'tensor<64x64xbf16>'}}
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xbf16>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @load_k18(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K18) expected carries to be moved outside of sched.each_chunk}}
        %X = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @store_k18(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:2 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    sched.role "only" warps 4 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.yield %S : tensor<64x64xf32>
      }
      // expected-error @+1 {{(K18) expected ins and outs to be moved inside sched.each_chunk}}
      sched.store %SN to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
    }
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// sched.get, sched.put
//===----------------------------------------------------------------------===//

func.func @get_k19(%c: !sched.channel<tensor<64x64xbf16>>) {
  // expected-error @+1 {{(K19) expected to stand in sched.each_chunk: a channel hands over what one chunk makes}}
  %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
  return
}

// -----

func.func @get_k20(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K20) expected the channel's 1 tiles, found 2}}
        %X, %Y = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>, tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k21(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "only" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
        // expected-error @+1 {{(K21) expected a tile of shape and compute type 'tensor<64x64xf32>' for 'tensor<64x64xbf16>', found 'tensor<64x64xbf16>'}}
        sched.put %Y to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xbf16>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k55(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = slots of 2) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K55) is late: expected a role within the only one that gets the tiles, none ahead, and a kernel over slots of 1; others would wait for it, or another chunk's tiles would}}
        sched.put %X to %c late : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k56(%x: tensor<?x?x2x64xbf16>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K56) is early: expected it to be late, and its reader to get other tiles before; it is put where those are taken}}
        sched.put %X to %c late early : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}
