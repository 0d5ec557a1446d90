// RUN: wyvern-opt %s -split-input-file -verify-diagnostics

// Channels that would be a hang or a race on a GPU: one test for each constraint of
// docs/sched.md, and networks of roles that do go on.

//===----------------------------------------------------------------------===//
// Who fills and who reads
//===----------------------------------------------------------------------===//

func.func @put_k30(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K30) puts into a channel that is put into already; it takes the tiles of each chunk once}}
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "two" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @get_k31(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K31) gets from a channel twice in one role; use the tiles of the first sched.get again}}
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Y = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k32(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K32) expected a role that puts and one that gets; the others would wait for ever}}
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k32_nobody_reads(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K32) expected a role that puts and one that gets; the others would wait for ever}}
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
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

func.func @channel_k33(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K33) is put into and gotten from by one role; use the value itself}}
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "both" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %Y to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k34(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "compute" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        // expected-error @+1 {{(K34) puts a computed tile into a channel that TMA fills; use fill warps, or put what sched.load brings}}
        sched.put %Y to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @put_k37(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xf16>>
    sched.role "load" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K37) expected a channel that TMA fills to hold tiles of 'bf16', as they are in memory, found 'tensor<64x64xf16>'; a bulk copy does not convert}}
        sched.put %X to %c : !sched.channel<tensor<64x64xf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @each_chunk_k35(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      // expected-error @+1 {{(K35) expected every role to visit the chunks in one direction; channels would hand over another chunk's tiles}}
      sched.each_chunk reverse valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

func.func @channel_k27(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K27) expected a depth that is a multiple of 2, the copies of role "fill", found 3; a copy would take one chunk's tiles for another's}}
    %c = sched.channel depth 3 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "fill" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k27_reader(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K27) expected a depth of at least 3, the copies of role "reader", found 2; a copy would take one chunk's tiles for another's}}
    %c = sched.channel depth 2 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 copies 3 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k27_both(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K27) expected a depth that is a multiple of 4, the copies of role "reader", found 6; a copy would take one chunk's tiles for another's}}
    %c = sched.channel depth 6 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "fill" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 copies 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

// Copies that read what one role fills may be fewer than the depth, whatever it is.
func.func @copies(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 3 fill warps : !sched.channel<tensor<64x64xbf16>>
    %d = sched.channel depth 2 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "double" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        sched.put %Y to %d : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "reader" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %d : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

func.func @channel_k39(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    // expected-error @+1 {{(K39) expected a depth of at least 2, since role "sum" overlaps its chunks and holds the tiles of two, found 1}}
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "sum" warps 4 {
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %SN = sched.each_chunk forward overlap valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %S1 = arith.addf %S, %X : tensor<64x64xf32>
        sched.yield %S1 : tensor<64x64xf32>
      }
      sched.store %SN to %final : tensor<64x64xf32>, !sched.global<tensor<?x2x64x64xf32>>
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

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

// Each gets before it puts what the other waits for.
func.func @get_k36(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill warps : !sched.channel<tensor<64x64xbf16>>
    %d = sched.channel depth 2 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-error @+1 {{(K36) waits for ever: role "one" gets tiles of a role that waits for this one in the same chunk; put before this sched.get what that role needs, or compute both in one role}}
        %X = sched.get %d : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "two" warps 4 {
      sched.each_chunk forward valid(%n) {
        // expected-note @+1 {{role "two" waits here}}
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %d : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}

// -----

// The other way round in one of them: it goes on.
func.func @crosswise(%x: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.get %d : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %Y to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "two" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %d : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

// What TMA brings each block of a cluster loads itself.
func.func @channel_k48(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 2 cluster, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    // expected-error @+1 {{(K48) is across blocks: expected a kernel with a split cluster, and fill warps; other blocks cannot be reached, and what is loaded each block loads itself}}
    %c = sched.channel depth 1 fill tma across : !sched.channel<tensor<64x64xbf16>>
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
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// -----

// Readers of other blocks would wait for ever.
func.func @put_k58(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 2 cluster, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "store" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "copy" warps 4 in_turn {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        // expected-error @+1 {{(K58) is of a role that blocks do in turn: expected a channel across blocks, whose readers in the others get nothing otherwise}}
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}
