// RUN: wyvern-opt %s -delta-sum-products | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// First what is no product, then the products with a scale in common, of which those
// whose scale has the other sign go first, then the others, each added to the tile of
// those before it. A number is a scale as well.

// CHECK-LABEL: func.func @gradient
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[A:[a-zA-Z0-9_]+]] = %arg0[{{[^,]*}}{{[^=]*}}, %[[B:[a-zA-Z0-9_]+]] = %arg1[
// CHECK-SAME: %[[b:[a-zA-Z0-9_]+]] = %arg2[
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.0{{.*}}> : tensor<16x16xf32>
// CHECK-DAG: %[[half:.*]] = arith.constant dense<5.000000e-01> : tensor<16x16xf32>
// CHECK-DAG: %[[rows:.*]] = linalg.broadcast ins(%[[b]] :
// CHECK: %[[E:.*]] = math.exp %[[A]]
// CHECK-NOT: arith.addf
// CHECK: %[[BA:.*]] = linalg.contract {{.*}} ins(%[[B]], %[[A]] : {{.*}} outs(%[[zero]] :
// CHECK: %[[minus:.*]] = arith.negf %[[BA]]
// CHECK: %[[both:.*]] = linalg.contract {{.*}} ins(%[[A]], %[[B]] : {{.*}} outs(%[[minus]] :
// CHECK: %[[scaled:.*]] = arith.mulf %[[rows]], %[[both]]
// CHECK: %[[s0:.*]] = arith.addf %[[E]], %[[scaled]]
// CHECK: %[[BB:.*]] = linalg.contract {{.*}} ins(%[[B]], %[[B]] : {{.*}} outs(%[[zero]] :
// CHECK: %[[halved:.*]] = arith.mulf %[[half]], %[[BB]]
// CHECK: %[[s1:.*]] = arith.addf %[[s0]], %[[halved]]
// CHECK: %[[s2:.*]] = linalg.contract {{.*}} ins(%[[A]], %[[A]] : {{.*}} outs(%[[s1]] :
// CHECK-NEXT: delta.yield outs(%[[s2]] :
func.func @gradient(%a: tensor<?x?x1x16xf32>, %b: tensor<?x?x1x16xf32>, %beta: tensor<?x?x1xf32>) -> tensor<?x?x1x16xf32> {
  %d = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>, %B = %b[seq, time, head, _] : tensor<?x?x1x16xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %half = arith.constant dense<0.5> : tensor<16x16xf32>
    %empty = tensor.empty() : tensor<16x16xf32>
    %rows = linalg.broadcast ins(%c : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [1]
    %minus = arith.negf %c : tensor<16xf32>
    %minus_rows = linalg.broadcast ins(%minus : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [1]
    %AB = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%A, %B : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sAB = arith.mulf %rows, %AB : tensor<16x16xf32>
    %AA = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%A, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %s0 = arith.addf %sAB, %AA : tensor<16x16xf32>
    %E = math.exp %A : tensor<16x16xf32>
    %s1 = arith.addf %s0, %E : tensor<16x16xf32>
    %BA = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%B, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sBA = arith.mulf %BA, %minus_rows : tensor<16x16xf32>
    %s2 = arith.addf %s1, %sBA : tensor<16x16xf32>
    %BB = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%B, %B : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sBB = arith.mulf %half, %BB : tensor<16x16xf32>
    %s3 = arith.addf %s2, %sBB : tensor<16x16xf32>
    delta.yield outs(%s3 : tensor<16x16xf32>)
  }
  return %d : tensor<?x?x1x16xf32>
}

// A scale over columns is another one than the same vector over rows. A product that
// something else reads keeps its tile, and so does a sum within a sum. The order of a
// chain is left as it is.

// CHECK-LABEL: func.func @apart
// CHECK: delta.chunk_map
// CHECK: %[[AB:.*]] = linalg.contract {{.*}} outs(%[[zero:.*]] :
// CHECK: %[[s:.*]] = arith.mulf %{{.*}}, %[[AB]]
// CHECK: %[[AA:.*]] = linalg.contract {{.*}} outs(%[[zero]] :
// CHECK: %[[t:.*]] = arith.mulf %{{.*}}, %[[AA]]
// CHECK: %[[sum:.*]] = arith.addf %[[s]], %[[t]]
// CHECK: %[[BB:.*]] = linalg.contract {{.*}} outs(%[[zero]] :
// CHECK: %[[kept:.*]] = arith.addf %[[BB]], %[[sum]]
// CHECK: delta.yield outs(%[[kept]], %[[BB]], %[[sum]] :
// CHECK: delta.chunk_scan
// CHECK: %[[P:.*]] = linalg.contract
// CHECK: arith.addf %{{.*}}, %[[P]]
func.func @apart(%a: tensor<?x?x1x16xf32>, %b: tensor<?x?x1x16xf32>, %beta: tensor<?x?x1xf32>, %s: tensor<?x1x16x16xf32>)
    -> (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x1x16x16xf32>) {
  %d:3 = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>, %B = %b[seq, time, head, _] : tensor<?x?x1x16xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>, [seq, time, head, _] : tensor<?x?x1x16xf32>, [seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %empty = tensor.empty() : tensor<16x16xf32>
    %rows = linalg.broadcast ins(%c : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [1]
    %columns = linalg.broadcast ins(%c : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [0]
    %AB = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%A, %B : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sAB = arith.mulf %rows, %AB : tensor<16x16xf32>
    %AA = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%A, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sAA = arith.mulf %columns, %AA : tensor<16x16xf32>
    %sum = arith.addf %sAB, %sAA : tensor<16x16xf32>
    %BB = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%B, %B : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %kept = arith.addf %BB, %sum : tensor<16x16xf32>
    delta.yield outs(%kept, %BB, %sum : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>)
  }
  %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32 ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x16x16xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %P = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%A, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %S1 = arith.addf %S, %P : tensor<16x16xf32>
    delta.yield carry(%S1 : tensor<16x16xf32>)
  }
  return %d#0, %d#1, %d#2, %sT : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x1x16x16xf32>
}

// A carry that a scaled product is added to is divided by the scale, so that the product
// goes to its tile: first of all, and multiplied again where it is read.

// CHECK-LABEL: func.func @scaled
// CHECK: delta.chunk_scan {{.*}}carry(%[[S:.*]] = %{{.*}}[seq
// CHECK: %[[OVER:.*]] = arith.constant dense<4.000000e+00>
// CHECK: %[[START:.*]] = arith.mulf %[[S]], %[[OVER]]
// CHECK: %[[P:.*]] = linalg.contract {{.*}} outs(%[[START]] :
// CHECK: math.exp
// CHECK: %[[SCALE:.*]] = arith.constant dense<2.500000e-01>
// CHECK: %[[S1:.*]] = arith.mulf %[[P]], %[[SCALE]]
// CHECK: linalg.contract {{.*}} outs(%[[S1]] :
func.func @scaled(%a: tensor<?x?x1x16xf32>, %s: tensor<?x1x16x16xf32>) -> tensor<?x1x16x16xf32> {
  %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32 ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x16x16xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %quarter = arith.constant dense<0.25> : tensor<16x16xf32>
    %P = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%A, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %sP = arith.mulf %P, %quarter : tensor<16x16xf32>
    %S1 = arith.addf %S, %sP : tensor<16x16xf32>
    %E = math.exp %A : tensor<16x16xf32>
    %S2 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%A, %E : tensor<16x16xf32>, tensor<16x16xf32>) outs(%S1 : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield carry(%S2 : tensor<16x16xf32>)
  }
  return %sT : tensor<?x1x16x16xf32>
}
