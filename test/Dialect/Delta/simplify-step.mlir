// RUN: wyvern-opt %s "-delta-form-step=prologue=conv,norm" -delta-fuse-prologue -delta-simplify -canonicalize -cse -split-input-file | FileCheck %s
// RUN: wyvern-opt %s "-delta-form-step=prologue=norm" -delta-fuse-prologue -delta-simplify -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=LOADED

// Norms of a step leave convolved rows that products alone read: products of the state with the keys and the query as they are, which are scaled
// behind it. Rows that each thread loads stay scaled.

// CHECK-LABEL: func.func @rows_step
// CHECK-DAG: %[[Q:.*]], %{{.*}} = delta.conv_row %Q
// CHECK-DAG: %[[K:.*]], %{{.*}} = delta.conv_row %K
// CHECK-DAG: linalg.contract {{.*}} ins(%[[Q]], %[[Q]] :
// CHECK-DAG: linalg.contract {{.*}} ins(%[[K]], %[[K]] :
// CHECK-DAG: linalg.contract {{.*}} ins(%[[K]], %[[S:.*]] : tensor<1x128xf32>, tensor<128x128xf32>)
// CHECK-DAG: linalg.contract {{.*}} ins(%[[Q]], %{{.*}} : tensor<1x128xf32>, tensor<128x128xf32>)
// CHECK: delta.yield
// LOADED-LABEL: func.func @rows_step
// LOADED: %[[scaled:.*]] = arith.mulf %K
// LOADED: linalg.contract {{.*}} ins(%[[scaled]], %{{.*}} : tensor<1x128xf32>, tensor<128x128xf32>)
func.func @rows(%q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x1x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x1xf32> {delta.name = "beta"}) -> (tensor<?x?x1x128xbf16> {delta.name = "o"}, tensor<?x1x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1xf32>
    -> (tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>)
  return %o, %sT : tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>
}

// -----

// What a decay a channel multiplies too is in registers scaled anyway.

// CHECK-LABEL: func.func @channels_step
// CHECK: %[[rk:.*]] = math.rsqrt
// CHECK: %[[rows:.*]] = linalg.broadcast ins(%[[rk]] :
// CHECK: %[[scaled:.*]] = arith.mulf %{{.*}}, %[[rows]]
// CHECK: arith.mulf %[[scaled]]
func.func @channels(%q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x1x128xbf16> {delta.name = "v"},
    %g: tensor<?x?x1x128xf32> {delta.name = "g"}) -> (tensor<?x?x1x128xbf16> {delta.name = "o"}, tensor<?x1x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k value %v) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xf32>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>
    -> (tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>)
  return %o, %sT : tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>
}
