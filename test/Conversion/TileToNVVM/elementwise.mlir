// RUN: wyvern-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s

// Two elements of a masked product are rounded by one conversion, which LLVM would take
// apart, and extended by an instruction each: a bf16 is the upper half of an f32.

// CHECK-LABEL: gpu.module @pairs
// CHECK-NOT: llvm.fptrunc
// CHECK-COUNT-16: nvvm.convert.f32x2.to.bf16x2
// CHECK-NOT: nvvm.convert
// CHECK-NOT: llvm.fpext
// CHECK-COUNT-16: llvm.shl
// CHECK: llvm.return
tile.kernel @pairs(%out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32, #tile.layout<acc>>
  %k = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %d = tile.mma %k, %k transpose_b : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  %x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  %j = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %below = arith.cmpi ult, %j, %i : tensor<64x64xi32, #tile.layout<acc>>
  %m = arith.select %below, %x, %zero : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
  %h = arith.truncf %m : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
  %y = arith.extf %h : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// f16 has an exponent of its own: it is extended by conversions.

// CHECK-LABEL: gpu.module @halves
// CHECK-COUNT-16: nvvm.convert.f32x2.to.f16x2
// CHECK-COUNT-32: llvm.fpext
tile.kernel @halves(%out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32, #tile.layout<acc>>
  %k = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %d = tile.mma %k, %k transpose_b : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  %x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  %j = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %below = arith.cmpi ult, %j, %i : tensor<64x64xi32, #tile.layout<acc>>
  %m = arith.select %below, %x, %zero : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
  %h = arith.truncf %m : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xf16, #tile.layout<acc>>
  %y = arith.extf %h : tensor<64x64xf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// What has 16 bits is masked as words of two elements, without a conversion.

// CHECK-LABEL: gpu.module @words
// CHECK-NOT: llvm.fptrunc
// CHECK: %[[LOW:.*]] = llvm.mlir.constant(65535 : i32)
// CHECK: %[[LOWER:.*]] = llvm.select %{{.*}}, %[[LOW]], %[[NONE:.*]] :
// CHECK: %[[HIGH:.*]] = llvm.mlir.constant(-65536 : i32)
// CHECK: %[[UPPER:.*]] = llvm.select %{{.*}}, %[[HIGH]], %[[NONE]] :
// CHECK: %[[MASK:.*]] = llvm.or %[[LOWER]], %[[UPPER]]
// CHECK: llvm.and %{{.*}}, %[[MASK]]
// CHECK-NOT: llvm.fptrunc
// CHECK: llvm.return
tile.kernel @words(%out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32, #tile.layout<acc>>
  %k = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %x = tile.read %k : !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  %wide = arith.extf %x : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
  %j = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %below = arith.cmpi ult, %j, %i : tensor<64x64xi32, #tile.layout<acc>>
  %m = arith.select %below, %wide, %zero : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
  %h = arith.truncf %m : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
  %y = arith.extf %h : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// Numbers of rows and columns are compared by their difference, which a thread has once:
// element 0 lies at its first row and column, element 6 eight of both further.

// CHECK-LABEL: gpu.module @masked
// CHECK: %[[difference:.*]] = llvm.sub
// CHECK: %[[zero:.*]] = llvm.mlir.constant(0 : i32) : i32
// CHECK: llvm.icmp "slt" %[[difference]], %[[zero]]
// CHECK: %[[down:.*]] = llvm.mlir.constant(8 : i32) : i32
// CHECK: llvm.icmp "slt" %[[difference]], %[[down]]
// CHECK-NOT: llvm.icmp "ult"
// CHECK: llvm.return
tile.kernel @masked(%out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32, #tile.layout<acc>>
  %t = tile.alloc offset 0 : !tile.smem<64x64xf32>
  %x = tile.read %t : !tile.smem<64x64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  %j = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %below = arith.cmpi ult, %j, %i : tensor<64x64xi32, #tile.layout<acc>>
  %y = arith.select %below, %x, %zero : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// What is taken off as a product is one operation with it; a product that somebody else
// reads too stays.

// CHECK-LABEL: gpu.module @difference
// CHECK: llvm.fneg
// CHECK: llvm.intr.fma
// CHECK-LABEL: gpu.module @shared_product
// CHECK-NOT: llvm.intr.fma
// CHECK: llvm.fsub
tile.kernel @difference(%out: !tile.global<tensor<?x64xf32>>, %a: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands ["out", ""] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %p = arith.mulf %a, %a : tensor<64x64xf32, #tile.layout<acc>>
  %y = arith.subf %a, %p : tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}
tile.kernel @shared_product(%out: !tile.global<tensor<?x64xf32>>, %a: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands ["out", ""] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %p = arith.mulf %a, %a : tensor<64x64xf32, #tile.layout<acc>>
  %y = arith.subf %a, %p : tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
  tile.store_matrix %p to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// Every warp has a copy of a vector, which its lanes read without an exchange.

// CHECK-LABEL: gpu.module @copied
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-2: st.shared.f32
// CHECK: nvvm.bar.warp.sync
// CHECK-NOT: shfl
// CHECK-COUNT-8: ld.shared.v2.f32
tile.kernel @copied(%x: tensor<64xf32, #tile.layout<warp>>, %out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["", "out"] shared_bytes 1024 {
  %c0 = arith.constant 0 : index
  %s = tile.alloc offset 0 : !tile.smem<256xf32>
  %c = tile.copy_to_warps %x via %s : tensor<64xf32, #tile.layout<warp>>, !tile.smem<256xf32> -> !tile.smem<64xf32>
  %r = tile.read %c : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<col>>
  %y = tile.broadcast %r : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// Where L and the rates are both in shared memory nothing is copied in front of the
// substitution, and no warp waits there: the first barrier stands behind it.
// CHECK-LABEL: gpu.module @rates_of_shared
// CHECK-NOT: bar.sync
// CHECK-COUNT-120: llvm.intr.fma
// CHECK: "bar.sync 1, 128;"
// CHECK: st.shared.f32
// CHECK: "bar.sync 1, 128;"
tile.kernel @rates_of_shared() grid 1 * slots warps 4 min_blocks 1 operands [] shared_bytes 37120 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %l = tile.alloc offset 8192 : !tile.smem<64x64xf32>
  %s = tile.alloc offset 25600 : !tile.smem<2624xf32>
  %c = tile.alloc offset 36352 : !tile.smem<64xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1
      : !tile.smem<64x64xf32>, !tile.smem<64xf32>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
}

// -----

// Places in a vector that every warp holds: lane l has l and l + 32.

// CHECK-LABEL: gpu.module @places
// CHECK: llvm.insertelement %[[lane:.*]], %[[none:.*]][
// CHECK: llvm.insertelement %[[next:.*]], %{{.*}} : vector<2xi32>
// CHECK: llvm.icmp "ult" %{{.*}}, %{{.*}} : vector<2xi32>
// CHECK: llvm.select %{{.*}} : vector<2xi1>, vector<2xf32>
tile.kernel @places(%out: !tile.global<tensor<?xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64xf32, #tile.layout<warp>>
  %one = arith.constant dense<1.0> : tensor<64xf32, #tile.layout<warp>>
  %most = arith.constant dense<40> : tensor<64xi32, #tile.layout<warp>>
  %i = tile.index 0 : tensor<64xi32, #tile.layout<warp>>
  %below = arith.cmpi ult, %i, %most : tensor<64xi32, #tile.layout<warp>>
  %x = arith.select %below, %one, %zero : tensor<64xi1, #tile.layout<warp>>, tensor<64xf32, #tile.layout<warp>>
  tile.store_vector %x to %out[%c0] dim 0 valid %c64 : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?xf32>>
}

// -----

// An angle loses its whole turns, in two parts, before it goes to the instruction; halves of columns are halves of a
// thread's elements.

// CHECK-LABEL: gpu.module @angles
// CHECK: %[[turns:.*]] = llvm.intr.rint(%{{.*}}) : (f32) -> f32
// CHECK: %[[rest:.*]] = llvm.intr.fma(%[[turns]], %{{.*}}, %{{.*}}) : (f32, f32, f32) -> f32
// CHECK: %[[angle:.*]] = llvm.intr.fma(%[[turns]], %{{.*}}, %[[rest]]) : (f32, f32, f32) -> f32
// CHECK: llvm.call_intrinsic "llvm.nvvm.sin.approx.ftz.f"(%[[angle]])
// CHECK: llvm.return
tile.kernel @angles(%out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %k = tile.alloc offset 0 : !tile.smem<64x64xf32>
  %x = tile.read %k : !tile.smem<64x64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  %a = tile.half_columns %x : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x32xf32, #tile.layout<acc>>
  %b = tile.half_columns second %x : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x32xf32, #tile.layout<acc>>
  %sin = math.sin %b : tensor<64x32xf32, #tile.layout<acc>>
  %y = tile.join_columns %a, %sin : tensor<64x32xf32, #tile.layout<acc>> -> tensor<64x64xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x64xf32>>
}

// -----

// Second halves of 8 columns begin behind the first, whatever a row has more; behind two halves that are joined is zero.

// CHECK-LABEL: gpu.module @filled
// CHECK: llvm.mlir.constant(15 : i32)
// CHECK-NEXT: llvm.insertelement {{.*}} : vector<16xf32>
// CHECK: %[[five:.*]] = llvm.mlir.constant(4 : i32)
// CHECK-NEXT: %[[first:.*]] = llvm.extractelement %{{.*}}[%[[five]] : i32] : vector<16xf32>
// CHECK: llvm.insertelement %[[first]], %{{.*}} : vector<4xf32>
// CHECK: %[[zero:.*]] = llvm.mlir.{{zero|constant\(0.0.*\)}} : f32
// CHECK-COUNT-8: llvm.insertelement %[[zero]], %{{.*}} : vector<16xf32>
tile.kernel @filled(%out: !tile.global<tensor<?x32xf32>>) grid 1 * slots warps 4 min_blocks 1 operands ["out"] shared_bytes 16384 {
  %c0 = arith.constant 0 : index
  %k = tile.alloc offset 0 : !tile.smem<64x32xf32>
  %x = tile.read %k : !tile.smem<64x32xf32> -> tensor<64x32xf32, #tile.layout<acc>>
  %b = tile.half_columns second %x : tensor<64x32xf32, #tile.layout<acc>> -> tensor<64x8xf32, #tile.layout<acc>>
  %y = tile.join_columns %b, %b : tensor<64x8xf32, #tile.layout<acc>> -> tensor<64x32xf32, #tile.layout<acc>>
  tile.store_matrix %y to %out[%c0, %c0] dims [0, 1] : tensor<64x32xf32, #tile.layout<acc>>, !tile.global<tensor<?x32xf32>>
}
