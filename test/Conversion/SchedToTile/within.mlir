// RUN: wyvern-opt %s -convert-sched-to-tile | FileCheck %s

// A role that loads within one that computes: the block has no warps for it. Before its
// first chunk the first warp of "copy" puts what is ahead, then, as each chunk begins,
// the tiles of the chunk that is so far ahead, if there is one. The output leaves through
// the place that the chunk's tile had: there is no staging tile. What is written there is
// fenced where it is written, so the stage is handed back without a fence. Each warp writes
// where it has read.

// CHECK-LABEL: tile.kernel @k
// CHECK-SAME: warps 4
// CHECK: %[[RING:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK-NOT: tile.alloc transient
// CHECK: tile.roles warps [4] {
// CHECK: %[[ANY:.*]] = arith.cmpi ult, %{{.*}}, %[[COUNT:.*]] : index
// CHECK: scf.if %[[ANY]] {
// CHECK-NEXT: tile.one_warp 0 {
// CHECK: tile.acquire %[[RING]]
// CHECK: tile.load
// CHECK: tile.commit %[[RING]]
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[COUNT]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[I]], %{{.*}} : index
// CHECK: %[[MORE:.*]] = arith.cmpi ult, %[[NEXT]], %[[COUNT]]
// CHECK: scf.if %[[MORE]] {
// CHECK-NEXT: tile.one_warp 0 {
// CHECK: tile.acquire %[[RING]][%[[NEXT]]]
// CHECK: tile.commit %[[RING]][%[[NEXT]]]
// CHECK: %[[T:.*]] = tile.wait %[[RING]][%[[I]]]
// CHECK: tile.store_rows %{{.*}} via %[[T]] own barrier
// CHECK: tile.release %[[RING]][%[[I]]]
func.func @f(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "o"}) {
  %r:1 = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        sched.store %Y to %out via %X : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c ahead 1 : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r#0 : tensor<?x?x2x64xbf16>
}

// Copies that take chunks in turn: each puts what is of its own chunks, the first one with
// its number, then that of the chunk after its next one.

// CHECK-LABEL: tile.kernel @turns
// CHECK: %[[RING:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: tile.roles warps [8] {
// CHECK: %[[COPY:.*]] = arith.subi %{{.*}}, %{{.*}} : index
// CHECK: %[[ANY:.*]] = arith.cmpi ult, %[[FIRST:.*]], %[[COUNT:.*]] : index
// CHECK: scf.if %[[ANY]] {
// CHECK-NEXT: tile.one_warp 0 {
// CHECK: tile.acquire %[[RING]][%[[FIRST]]]
// CHECK-NOT: tile.acquire
// CHECK: scf.for %[[I:.*]] = %[[COPY]] to %[[COUNT]] step %{{.*}} {
// CHECK: %[[NEXT:.*]] = arith.addi %[[I]], %{{.*}} : index
// CHECK: tile.acquire %[[RING]][%[[NEXT]]]
// CHECK: tile.wait %[[RING]][%[[I]]]
func.func @g(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "o"}) {
  %r:1 = sched.kernel "turns" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 4 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "copy" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.addf %X, %X : tensor<64x64xf32>
        sched.store %Y to %out direct : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "copy" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c ahead 2 : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r#0 : tensor<?x?x2x64xbf16>
}

// A late put, in a block of one chunk: behind all that stands before the sched.get, when the
// warps have met, since its place may be that of what they read.

// CHECK-LABEL: tile.kernel @second
// CHECK: %[[FIRST:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: %[[SECOND:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: tile.one_warp 0 {
// CHECK: tile.acquire %[[FIRST]]
// CHECK: tile.commit %[[FIRST]]
// CHECK-NOT: tile.acquire
// CHECK: tile.wait %[[FIRST]]
// CHECK: tile.reduce
// CHECK: tile.barrier proxy id 1
// CHECK: tile.one_warp 1 {
// CHECK: tile.acquire %[[SECOND]]
// CHECK: tile.commit %[[SECOND]]
// CHECK: tile.wait %[[SECOND]]
// CHECK: tile.store_rows
func.func @late_put(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "o"}) {
  %r:1 = sched.kernel "second" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %zero = arith.constant dense<0.0> : tensor<64xf32>
    %empty = arith.constant dense<0.0> : tensor<64x64xf32>
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "sum" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %s = linalg.reduce { arith.addf } ins(%X : tensor<64x64xf32>) outs(%zero : tensor<64xf32>) dimensions = [1]
        %Y = sched.get %d : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %b = linalg.broadcast ins(%s : tensor<64xf32>) outs(%empty : tensor<64x64xf32>) dimensions = [1]
        %Z = arith.mulf %Y, %b : tensor<64x64xf32>
        sched.store %Z to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "sum" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %Y to %d late : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r#0 : tensor<?x?x2x64xbf16>
}

// Early puts: what the role gets next comes while it computes with what it takes now. What it has done with is handed back before, so
// that products which read it are complete, and all its warps meet: the third tile may lie where the first one did.

// CHECK-LABEL: tile.kernel @rounds
// CHECK: %[[FIRST:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: %[[SECOND:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: %[[THIRD:.*]] = tile.alloc_ring producers 1 consumers 4
// CHECK: tile.acquire %[[FIRST]]
// CHECK: tile.acquire %[[SECOND]]
// CHECK-NOT: tile.acquire
// CHECK: tile.wait %[[FIRST]]
// CHECK: tile.reduce
// CHECK-NOT: tile.wait
// CHECK: tile.release fenced %[[FIRST]]
// CHECK-NEXT: tile.barrier proxy id 1
// CHECK: tile.acquire %[[THIRD]]
// CHECK: tile.wait %[[SECOND]]
// CHECK: tile.reduce
// CHECK: tile.wait %[[THIRD]]
// CHECK: tile.store_rows
// CHECK: tile.release {{.*}}%[[SECOND]]
// CHECK-NOT: tile.release {{.*}}%[[FIRST]]
func.func @early_puts(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "o"}) {
  %r:1 = sched.kernel "rounds" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %zero = arith.constant dense<0.0> : tensor<64xf32>
    %empty = arith.constant dense<0.0> : tensor<64x64xf32>
    %c = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    %e = sched.channel depth 1 fill tma : !sched.channel<tensor<64x64xbf16>>
    sched.role "sum" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %s = linalg.reduce { arith.addf } ins(%X : tensor<64x64xf32>) outs(%zero : tensor<64xf32>) dimensions = [1]
        %Y = sched.get %d : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %t = linalg.reduce { arith.addf } ins(%Y : tensor<64x64xf32>) outs(%zero : tensor<64xf32>) dimensions = [1]
        %st = arith.addf %s, %t : tensor<64xf32>
        %Z = sched.get %e : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        %b = linalg.broadcast ins(%st : tensor<64xf32>) outs(%empty : tensor<64x64xf32>) dimensions = [1]
        %o = arith.mulf %Z, %b : tensor<64x64xf32>
        sched.store %o to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 within "sum" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %Y to %d late early : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        %Z = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %Z to %e late early : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r#0 : tensor<?x?x2x64xbf16>
}
