// RUN: wyvern-opt %s -test-print-kernel-cost -o /dev/null | FileCheck %s

// With numbers that one can follow: a product of 64 x 64 x 64 takes 2 * 64^3 / 4096 = 128
// cycles and 10 more, a thread of 128 has 32 of a tile's 4096 elements.
#target = #tile.target<sm_90a, mma_flops_per_cycle = 4096, mma_cycles = 10, lane_cycles = 1, decay_ops = 5, solve_row_cycles = 7, load_cycles = 1000, turn_cycles = 100>
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

module attributes {tile.target = #target} {

// A map. Two products beside each other, of which the second is a decay's: 5 operations an
// element. A system of 64 rows. Lanes: 5 * 32 for the decay, 32 for the scaling, 2 * 32 to
// store. What is loaded is waited for, since nothing is loaded ahead. Work: tensor cores,
// half of the lanes, a tenth of the system.
// CHECK-LABEL: map: cycles 1842, work 428, bytes 24832
// CHECK-NEXT: compute: lanes 256, solves 448, products 138, tensor cores 256
// CHECK-NEXT: load: lanes 0, solves 0, products 0, tensor cores 0
func.func @map(%k: tensor<?x?x2x64xbf16>, %g: tensor<?x?x2xf32>) -> (tensor<?x?x2x64xbf16>, tensor<?x?x2x64xbf16>) {
  %zs:2 = sched.kernel "map" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %gate = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs(%z = [seq, time, head, _] : tensor<?x?x2x64xbf16>, %p = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill tma : <tensor<64x64xbf16>, tensor<64xf32>>
    sched.role "compute" warps 4 {
      sched.each_chunk forward valid(%n) {
        %K, %G = sched.get %c : <tensor<64x64xbf16>, tensor<64xf32>> -> tensor<64x64xf32>, tensor<64xf32>
        %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
        %L = delta.decay_dot before_row %Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
        %Z = delta.erase_factor %L, %G : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
        %N = arith.negf %Z : tensor<64x64xf32>
        sched.store %N to %z : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        %P = delta.decay_dot upto_token %Kb, %Kb decay(%G : tensor<64xf32>) : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
        sched.store %P to %p : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %K = sched.load %in : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %G = sched.load %gate : <tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %K, %G to %c : <tensor<64x64xbf16>, tensor<64xf32>>, tensor<64x64xf32>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return %zs#0, %zs#1 : tensor<?x?x2x64xbf16>, tensor<?x?x2x64xbf16>
}

// A scan whose state two blocks share, each with two groups of warps: a product with the
// state takes a group 32 cycles, and the chain of two of them 2 * (32 + 10). The tensor cores
// work 64 cycles a product and block. A quarter of a tile is 8 elements a thread: to round the
// state and the first product, and to store it. The tensor cores and half of the lanes of both
// groups take longer than one group. Nobody waits for loads; a block counts half of a tile, and
// half of that where two heads have the queries of one.
// CHECK-LABEL: scan: cycles 152, work 152, bytes 10240
// CHECK-NEXT: state: lanes 24, solves 0, products 84, tensor cores 128
// CHECK-NEXT: load:
func.func @scan(%q: tensor<?x?x1x64xbf16>, %v: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>) -> (tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>) {
  %o, %e = sched.kernel "scan" grid(heads = 2, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%qs = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>, %vs = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%init = %s[seq, head, _, _] : tensor<?x2x64x64xf32>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) finals(%final = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    %c = sched.channel depth 2 fill tma : <tensor<64x64xbf16>, tensor<64x64xbf16>>
    sched.role "state" warps 4 split 2 {
      %s0 = sched.load %init : <tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %sN = sched.each_chunk forward valid(%n) carries(%S = %s0 : tensor<64x64xf32>) {
        %Q, %V = sched.get %c : <tensor<64x64xbf16>, tensor<64x64xbf16>> -> tensor<64x64xf32>, tensor<64x64xf32>
        %Qb = arith.truncf %Q : tensor<64x64xf32> to tensor<64x64xbf16>
        %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
        %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Qb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%V : tensor<64x64xf32>) -> tensor<64x64xf32>
        %Ob = arith.truncf %O : tensor<64x64xf32> to tensor<64x64xbf16>
        %U = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Qb, %Ob : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
        sched.store %O to %out : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield %U : tensor<64x64xf32>
      }
      sched.store %sN to %final : tensor<64x64xf32>, <tensor<?x2x64x64xf32>>
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %Q = sched.load %qs : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        %V = sched.load %vs : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %Q, %V to %c : <tensor<64x64xbf16>, tensor<64x64xbf16>>, tensor<64x64xf32>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %o, %e : tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>
}


// A state that two blocks share, stored in 16 bits every chunk: a block's half is 4096 bytes,
// which take 4096 * 132 / 2300 = 235 cycles of an SM's share of the memory. Both store all of
// what has no split dimension, and each counts its part of what it loads.
// CHECK-LABEL: states: cycles 299, work 267, bytes 16384
// CHECK-NEXT: state: lanes 64, solves 0, products 0, tensor cores 0
func.func @states(%x: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>)
    -> (tensor<?x2x64x64xbf16>, tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>) {
  %o:3 = sched.kernel "states" grid(heads = 2, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%xs = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      inits(%i = %s[seq, head, _, _] : tensor<?x2x64x64xf32>)
      outs(%h = [chunk, head, _, _] : tensor<?x2x64x64xbf16>, %y = [seq, time, head, _] : tensor<?x?x2x64xbf16>)
      finals(%f = [seq, head, _, _] : tensor<?x2x64x64xf32>) {
    %c = sched.channel depth 2 fill tma : <tensor<64x64xbf16>>
    sched.role "state" warps 4 {
      %S0 = sched.load %i : <tensor<?x2x64x64xf32>> -> tensor<64x64xf32>
      %Se = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x64xf32>) {
        sched.store %S to %h : tensor<64x64xf32>, <tensor<?x2x64x64xbf16>>
        %X = sched.get %c : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %y : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        %T = arith.addf %S, %S : tensor<64x64xf32>
        sched.yield %T : tensor<64x64xf32>
      }
      sched.store %Se to %f : tensor<64x64xf32>, <tensor<?x2x64x64xf32>>
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %xs : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %o#0, %o#1, %o#2 : tensor<?x2x64x64xbf16>, tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>
}

// A map that the two blocks of a cluster do in turn: 448 cycles of its system and 96 of its lanes
// pace a chunk by half of them, and a block does half of its work, 48 and 44 of a chunk, beside
// the state's 16. What the map stores one block stores, so a block counts half of it. A chunk
// waits for what the other block sends.
// CHECK-LABEL: turns: cycles 372, work 62, bytes 8320
// CHECK-NEXT: state: lanes 32, solves 0, products 0, tensor cores 0
// CHECK-NEXT: map: lanes 96, solves 448, products 0, tensor cores 0
func.func @turns(%m: tensor<?x?x2x64xbf16>, %b: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
    -> (tensor<?x?x2x64xbf16>, tensor<?x2x64x128xf32>) {
  %y:2 = sched.kernel "turns" grid(heads = 2, split = 2 cluster, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%ms = %m[seq, time, head, _] : tensor<?x?x2x64xbf16>, %bs = %b[seq, time, head] : tensor<?x?x2xf32>)
      inits(%i = %s[seq, head, _, _] : tensor<?x2x64x128xf32>)
      outs(%z = [seq, time, head, _] : tensor<?x?x2x64xbf16>)
      finals(%f = [seq, head, _, _] : tensor<?x2x64x128xf32>) {
    %c = sched.channel depth 2 fill tma : <tensor<64x64xbf16>, tensor<64xf32>>
    %x = sched.channel depth 2 fill warps across : <tensor<64x64xbf16>>
    sched.role "state" warps 4 {
      %S0 = sched.load %i : <tensor<?x2x64x128xf32>> -> tensor<64x128xf32>
      %Se = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x128xf32>) {
        %Z = sched.get %x : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %T = arith.addf %S, %S : tensor<64x128xf32>
        sched.yield %T : tensor<64x128xf32>
      }
      sched.store %Se to %f : tensor<64x128xf32>, <tensor<?x2x64x128xf32>>
    }
    sched.role "map" warps 4 in_turn {
      sched.each_chunk forward valid(%n) {
        %M, %B = sched.get %c : <tensor<64x64xbf16>, tensor<64xf32>> -> tensor<64x64xf32>, tensor<64xf32>
        %Z = delta.erase_factor %M, %B : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
        %N = arith.negf %Z : tensor<64x64xf32>
        sched.store %N to %z : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.put %N to %x : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %M = sched.load %ms : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %B = sched.load %bs : <tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %M, %B to %c : <tensor<64x64xbf16>, tensor<64xf32>>, tensor<64x64xf32>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return %y#0, %y#1 : tensor<?x?x2x64xbf16>, tensor<?x2x64x128xf32>
}
}
