// RUN: wyvern-opt %s -tile-plan-smem -convert-tile-to-nvvm | FileCheck %s
// RUN: wyvern-opt %s -tile-plan-smem -convert-tile-to-nvvm -canonicalize -cse | FileCheck %s --check-prefix=HALVES

// A thread's part of a tile is one vector. Sums go over the lanes of a row in a tree; a row
// of keys is loaded 16 bytes at once; one of the lanes that hold an element stores it.

// CHECK-LABEL: gpu.module @spread
// CHECK: llvm.func @spread
// CHECK: llvm.load %{{.*}} : !llvm.ptr<1> -> i32
// CHECK: llvm.sext
// CHECK-COUNT-8: llvm.load %{{.*}} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: llvm.load
// CHECK: llvm.fmul
// CHECK-COUNT-15: llvm.intr.fma
// CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}
// CHECK: nvvm.shfl.sync bfly
// CHECK: nvvm.shfl.sync bfly
// CHECK: llvm.fadd
// CHECK: scf.if
// CHECK-COUNT-2: llvm.store %{{.*}}, %{{.*}} : f32, !llvm.ptr<1>
// CHECK-NOT: llvm.store
tile.kernel @spread(%pool: !tile.global<tensor<?x32x128xf32>, contiguous = true>, %q: !tile.global<tensor<?x128xf32>, contiguous = true>,
                    %o: !tile.global<tensor<?x32xf32>>, %read: !tile.global<tensor<?xi32>>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["pool", "q", "o", "read"] {
  %c0 = arith.constant 0 : index
  %slot = tile.load_index %read[%c0] else %c0 : !tile.global<tensor<?xi32>>
  %s = tile.load_spread %pool[%slot, %c0, %c0] dims [1, 2] : !tile.global<tensor<?x32x128xf32>, contiguous = true>
      -> tensor<32x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
  %x = arith.constant dense<1.0> : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %zero = arith.constant dense<0.0> : tensor<1x32xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  %r = tile.contract %x, %s into %zero
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>,
        tensor<32x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>,
        tensor<1x32xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  tile.store_spread %r to %o[%c0, %c0] dims [0, 1] : tensor<1x32xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>, !tile.global<tensor<?x32xf32>>
}

// Two numbers of 16 bits are widened a word: one is moved up, the other masked.

// CHECK-LABEL: gpu.module @widen
// CHECK: llvm.bitcast %{{.*}} : vector<2xbf16> to vector<1xi32>
// CHECK: %[[low:.*]] = llvm.shl %[[word:[0-9]+]],
// CHECK: %[[high:.*]] = llvm.and %[[word]],
// CHECK: llvm.bitcast %[[low]] : i32 to f32
// CHECK: llvm.bitcast %[[high]] : i32 to f32
// CHECK-NOT: llvm.fpext
tile.kernel @widen(%x: !tile.global<tensor<?xbf16>, contiguous = true>, %y: !tile.global<tensor<?xf32>, contiguous = true>)
    grid 1 * sequences warps 1 min_blocks 1 operands ["x", "y"] {
  %c0 = arith.constant 0 : index
  %a = tile.load_spread %x[%c0] dims [0] : !tile.global<tensor<?xbf16>, contiguous = true> -> tensor<64xbf16, #tile.spread<[piece 2 lanes 32 step 1 warps 1]>>
  %b = arith.extf %a : tensor<64xbf16, #tile.spread<[piece 2 lanes 32 step 1 warps 1]>> to tensor<64xf32, #tile.spread<[piece 2 lanes 32 step 1 warps 1]>>
  tile.store_spread %b to %y[%c0] dims [0] : tensor<64xf32, #tile.spread<[piece 2 lanes 32 step 1 warps 1]>>, !tile.global<tensor<?xf32>, contiguous = true>
}

// Functions of an element, each by the instruction that there is for it. log1p divides without the branch that a division has for the ends of the
// range, and so does a number over 1 + e^-x, if x has a bound and the division is not to branch.

// CHECK-LABEL: gpu.module @functions
// CHECK: llvm.intr.sqrt
// CHECK: llvm.intr.fabs
// CHECK: llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"
// CHECK: %[[isLarge:.*]] = llvm.fcmp "ogt"
// CHECK: llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// CHECK-COUNT-4: llvm.intr.fma
// CHECK: llvm.select %[[isLarge]]
// CHECK: llvm.select
// CHECK-NOT: llvm.fdiv
// CHECK: llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// CHECK-COUNT-2: llvm.intr.fma
// CHECK-NOT: llvm.intr.fma
// CHECK: llvm.fdiv
// CHECK-NOT: llvm.intr.fma
// CHECK: llvm.fdiv
tile.kernel @functions(%x: !tile.global<tensor<?xf32>>) grid 1 * sequences warps 1 min_blocks 1 operands ["x"] {
  %c0 = arith.constant 0 : index
  %a = tile.load_spread %x[%c0] dims [0] : !tile.global<tensor<?xf32>> -> tensor<1xf32, #tile.spread<[_]>>
  %b = math.sqrt %a : tensor<1xf32, #tile.spread<[_]>>
  %c = math.absf %b : tensor<1xf32, #tile.spread<[_]>>
  %d = math.log1p %c : tensor<1xf32, #tile.spread<[_]>>
  %one = arith.constant dense<1.0> : tensor<1xf32, #tile.spread<[_]>>
  %bound = arith.constant dense<-8.000000e+01> : tensor<1xf32, #tile.spread<[_]>>
  %f = arith.maximumf %d, %bound : tensor<1xf32, #tile.spread<[_]>>
  %g = arith.negf %f : tensor<1xf32, #tile.spread<[_]>>
  %h = math.exp %g : tensor<1xf32, #tile.spread<[_]>>
  %i = arith.addf %h, %one : tensor<1xf32, #tile.spread<[_]>>
  %j = arith.divf %one, %i {tile.without_branch} : tensor<1xf32, #tile.spread<[_]>>
  %k = math.exp %j : tensor<1xf32, #tile.spread<[_]>>
  %l = arith.addf %k, %one : tensor<1xf32, #tile.spread<[_]>>
  %m = arith.divf %one, %l {tile.without_branch} : tensor<1xf32, #tile.spread<[_]>>
  %n = arith.maximumf %m, %bound : tensor<1xf32, #tile.spread<[_]>>
  %o = arith.negf %n : tensor<1xf32, #tile.spread<[_]>>
  %p = math.exp %o : tensor<1xf32, #tile.spread<[_]>>
  %q = arith.addf %p, %one : tensor<1xf32, #tile.spread<[_]>>
  %r = arith.divf %one, %q : tensor<1xf32, #tile.spread<[_]>>
  tile.store_spread %r to %x[%c0] dims [0] : tensor<1xf32, #tile.spread<[_]>>, !tile.global<tensor<?xf32>>
}

// Rows that are convolved and shared: the products of a channel in a row, one number a thread to its entry in shared memory,
// a barrier of the block, and four numbers at once from there. The kernel says what its clusters are. An arrival that says
// what has been read waits for nothing that is on its way.

// CHECK-LABEL: gpu.module @rows
// CHECK: llvm.func @rows
// CHECK-SAME: nvvm.cluster_dim = array<i32: 2, 1, 1>
// CHECK: llvm.fmul
// CHECK-COUNT-3: llvm.intr.fma
// CHECK: scf.if
// CHECK: "st.shared.f32
// CHECK: "bar.sync 0;"
// CHECK-COUNT-4: "ld.shared.v4.f32
// CHECK: "barrier.cluster.arrive.relaxed.aligned;"
// CHECK: "barrier.cluster.wait.acquire.aligned;"
tile.kernel @rows(%x: !tile.global<tensor<?x1x128xf32>>, %w: !tile.global<tensor<?x3x128xf32>>, %f: !tile.global<tensor<?x128x4xf32>>,
                  %y: !tile.global<tensor<?x1x128xf32>, contiguous = true>, %h: index) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["x", "w", "f", "y", "tokens"] {
  %c0 = arith.constant 0 : index
  %place = tile.alloc : !tile.smem<2x128xf32>
  %a = tile.load_spread %x[%c0, %c0, %c0] dims [1, 2] : !tile.global<tensor<?x1x128xf32>> -> tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  %b = tile.load_spread %w[%c0, %c0, %c0] dims [1, 2] : !tile.global<tensor<?x3x128xf32>> -> tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  %c = tile.load_spread %f[%c0, %c0, %c0] dims [1, 2] : !tile.global<tensor<?x128x4xf32>> -> tensor<128x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
  %r, %next = tile.conv_row %a behind %b filter %c : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
      tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, tensor<128x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
  tile.put_rows %r at %h in %place : !tile.smem<2x128xf32>, tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  tile.meet
  %s = tile.get_rows at %h in %place : !tile.smem<2x128xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  tile.store_spread %s to %y[%c0, %c0, %c0] dims [1, 2] : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>, !tile.global<tensor<?x1x128xf32>, contiguous = true>
  tile.store_spread %next to %w[%c0, %c0, %c0] dims [1, 2] : tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, !tile.global<tensor<?x3x128xf32>>
  tile.cluster_arrive of_reads
  tile.cluster_wait
}

// A warp puts what it has made alone: of the lanes with the same the first, whatever the number of the warp, which is asked for where it is compared. Addresses are made
// where they stand.

// CHECK-LABEL: gpu.module @dealt
// CHECK: llvm.func @dealt
// CHECK: "bar.sync 0;"
// CHECK: nvvm.shfl.sync idx
// CHECK: scf.if
// CHECK: "mov.b32 $0, $1;"
// CHECK-COUNT-4: "ld.shared.v4.f32
// CHECK-NOT: llvm.icmp "ult"
// CHECK: scf.if
// CHECK-COUNT-4: "st.shared.v4.f32
// CHECK-NOT: llvm.icmp "ult"
// CHECK: "st.shared.f32
// CHECK: "bar.sync 0;"
tile.kernel @dealt(%x: !tile.global<tensor<?x128xf32>, contiguous = true>, %h: index) grid 1 * sequences warps 4 min_blocks 1 operands ["x", "tokens"] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %place = tile.alloc : !tile.smem<1x128xf32>
  %made = tile.alloc : !tile.smem<1x132xf32>
  %zero = arith.constant dense<0.0> : tensor<1xf32, #tile.spread<[_]>>
  %a = tile.load_spread %x[%c0, %c0] dims [0, 1] : !tile.global<tensor<?x128xf32>, contiguous = true> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  tile.put_rows %a at %c0 in %place : !tile.smem<1x128xf32>, tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  tile.meet
  %w = tile.warp_id
  %is = arith.cmpi eq, %w, %c1 : index
  scf.if %is {
    %b = tile.get_rows at %c0 in %place {tile.addressed_again} : !tile.smem<1x128xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
    %t = tile.contract %b, %b into %zero maps [affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i, k)>, affine_map<(i, k) -> (i)>]
        : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>, tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>, tensor<1xf32, #tile.spread<[_]>>
    tile.put_rows %b, %t at %c0 in %made of_warp : !tile.smem<1x132xf32>, tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>, tensor<1xf32, #tile.spread<[_]>>
  }
  tile.meet
}

// Two blocks of a cluster sum together: lane 0 sends the sums of its warp to the first of them, lane 1 to the second, between
// two barriers of the cluster; eight numbers are added up in their order.

// CHECK-LABEL: gpu.module @together
// CHECK: "barrier.cluster.wait.acquire.aligned;"
// CHECK: "mov.u32 $0, %cluster_ctarank;"
// CHECK: scf.if
// CHECK: "mapa.shared::cluster.u32
// CHECK: "st.shared::cluster.f32
// CHECK: "barrier.cluster.wait.acquire.aligned;"
// CHECK-COUNT-7: llvm.fadd
// CHECK: "st.shared.f32
// CHECK: "ld.shared.f32
tile.kernel @together(%x: !tile.global<tensor<?xf32>>) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["x"] {
  %c0 = arith.constant 0 : index
  %scratch = tile.alloc : !tile.smem<8xf32>
  %place = tile.alloc : !tile.smem<128xf32>
  %a = tile.load_spread %x[%c0] dims [0] : !tile.global<tensor<?xf32>> -> tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>
  %zero = arith.constant dense<0.0> : tensor<f32, #tile.spread<[]>>
  %r = tile.contract %a, %a into %zero maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>] through %scratch : !tile.smem<8xf32>, {blocks = 2 : i64}
      : tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>, tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>, tensor<f32, #tile.spread<[]>>
  tile.store_spread %r to %x[%c0] dims [] : tensor<f32, #tile.spread<[]>>, !tile.global<tensor<?xf32>>
  tile.keep %a in %place : tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>, !tile.smem<128xf32>
  %b = tile.kept %place : !tile.smem<128xf32> -> tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>
  tile.store_spread %b to %x[%c0] dims [0] : tensor<128xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4]>>, !tile.global<tensor<?xf32>>
}

// What is asked for where it stands is volatile, or atomic, for the block, where caches may answer and it is no vector: LLVM and ptxas move it nowhere. What is addressed first has its slot's product alone behind the branch.

// CHECK-LABEL: gpu.module @first
// CHECK: llvm.load volatile %{{.*}} : !llvm.ptr<1> -> i32
// CHECK: llvm.load %{{.*}} atomic syncscope("block") monotonic {alignment = 4 : i64} : !llvm.ptr<1> -> i32
// CHECK: %[[early:.*]] = llvm.inline_asm has_side_effects {{.*}}"mov.b64 $0, $1;", "=l,l" %{{.*}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
// CHECK: scf.if
// CHECK-COUNT-1: llvm.mul
// CHECK-NEXT: llvm.getelementptr %[[early]]
// CHECK-NOT: llvm.mul
// CHECK: llvm.load volatile %{{.*}} : !llvm.ptr<1> -> vector<4xi32>
tile.kernel @first(%pool: !tile.global<tensor<?x32x128xf32>, contiguous = true>, %o: !tile.global<tensor<?x32x128xf32>, contiguous = true>,
                   %read: !tile.global<tensor<?xi32>>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["pool", "o", "read"] {
  %c0 = arith.constant 0 : index
  %first = tile.load_index %read[%c0] else %c0 {tile.asked_first} : !tile.global<tensor<?xi32>>
  %slot = tile.load_index %read[%first] else %c0 {tile.asked_cached, tile.asked_first} : !tile.global<tensor<?xi32>>
  %valid = arith.cmpi sge, %slot, %c0 : index
  scf.if %valid {
    %s = tile.load_spread %pool[%slot, %c0, %c0] dims [1, 2] {tile.addressed_first, tile.asked_first} : !tile.global<tensor<?x32x128xf32>, contiguous = true>
        -> tensor<4x128xf32, #tile.spread<[piece 1 lanes 1 step 1 warps 4, piece 4 lanes 32 step 1 warps 1]>>
    tile.store_spread %s to %o[%c0, %c0, %c0] dims [1, 2]
        : tensor<4x128xf32, #tile.spread<[piece 1 lanes 1 step 1 warps 4, piece 4 lanes 32 step 1 warps 1]>>, !tile.global<tensor<?x32x128xf32>, contiguous = true>
  }
}

// What is addressed first within a branch is so behind the loads that are asked for there, and not in front of it. Rows that are put without a branch are
// stored by those that hold them.

// CHECK-LABEL: gpu.module @within
// CHECK: scf.if
// CHECK: llvm.load volatile
// CHECK: %[[address:.*]] = llvm.inline_asm has_side_effects {{.*}}"mov.b64 $0, $1;", "=l,l"
// CHECK-NOT: scf.if
// CHECK: @holds st.shared.f32
// CHECK: scf.if
// CHECK: llvm.getelementptr %[[address]]
// CHECK: llvm.store
tile.kernel @within(%pool: !tile.global<tensor<?x128xf32>>, %read: !tile.global<tensor<?xi32>>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["pool", "read"] {
  %c0 = arith.constant 0 : index
  %place = tile.alloc : !tile.smem<1x128xf32>
  %slot = tile.load_index %read[%c0] else %c0 : !tile.global<tensor<?xi32>>
  %valid = arith.cmpi sge, %slot, %c0 : index
  scf.if %valid {
    %s = tile.load_spread %pool[%slot, %c0] dims [0, 1] {tile.asked_first} : !tile.global<tensor<?x128xf32>>
        -> tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
    tile.put_rows %s at %c0 in %place {tile.without_branch} : !tile.smem<1x128xf32>, tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
    scf.if %valid {
      tile.store_spread %s to %pool[%slot, %c0] dims [0, 1] {tile.addressed_first}
          : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, !tile.global<tensor<?x128xf32>>
    }
  } {tile.addressed_within}
}

// Halves of two rows of 64 over eight lanes: a thread has eight elements of each row, row by row, and of each half four of them. Joined the other
// way round, a row of the result begins with those of its second half. Rounding to the nearest is one instruction.

// HALVES-LABEL: gpu.module @halves
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c0:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c1:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c2:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c3:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c8:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c9:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c10:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%[[c11:[0-9]+]] : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES: llvm.insertelement %{{.*}}, %{{.*}}[%{{[0-9]+}} : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c0]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c1]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c2]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c3]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c8]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c9]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c10]] : i32] : vector<16xf32>
// HALVES-NEXT: llvm.extractelement %{{.*}}[%[[c11]] : i32] : vector<16xf32>
// HALVES-COUNT-8: llvm.intr.rint(
// HALVES-NOT: llvm.intr.rint(
// HALVES-COUNT-4: llvm.store %{{.*}}, %{{.*}} : vector<4x{{.*}}>, !llvm.ptr<1>
tile.kernel @halves(%x: !tile.global<tensor<?x64xf32>, contiguous = true>, %y: !tile.global<tensor<?x64xf32>, contiguous = true>)
    grid 1 * sequences warps 1 min_blocks 1 operands ["x", "y"] {
  %c0 = arith.constant 0 : index
  %rows = tile.load_spread %x[%c0, %c0] dims [0, 1] : !tile.global<tensor<?x64xf32>, contiguous = true> -> tensor<2x64xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %a = tile.half_columns %rows : tensor<2x64xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>> -> tensor<2x32xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %b = tile.half_columns second %rows : tensor<2x64xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>> -> tensor<2x32xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %r = math.roundeven %b : tensor<2x32xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %j = tile.join_columns %r, %a : tensor<2x32xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>> -> tensor<2x64xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  tile.store_spread %j to %y[%c0, %c0] dims [0, 1] : tensor<2x64xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>, !tile.global<tensor<?x64xf32>, contiguous = true>
}
