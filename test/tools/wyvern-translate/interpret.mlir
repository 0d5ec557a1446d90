// RUN: wyvern-translate --interpret %s --function=constants --print-values | FileCheck %s
// RUN: wyvern-translate --interpret %s --function=recurrence --random-seed=3 --batch=2 --time=5 --output-dir=%t | FileCheck %s --check-prefix=RANDOM
// RUN: wyvern-translate --interpret %s --function=recurrence --random-seed=3 --batch=2 --time=5 | FileCheck %s --check-prefix=RANDOM
// RUN: %python -c "import sys; data = open(sys.argv[1], 'rb').read(); print(data[:6], len(data) - 128)" %t/o.npy | FileCheck %s --check-prefix=NPY
// RUN: not wyvern-translate --interpret %s 2>&1 | FileCheck %s --check-prefix=WHICH
// RUN: not wyvern-translate --interpret %s --function=nothing 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not wyvern-translate --interpret %s --function=recurrence --input=q 2>&1 | FileCheck %s --check-prefix=INPUT
// RUN: not wyvern-translate --interpret %s --function=recurrence --input=q=%t/none.npy 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: not wyvern-translate --interpret %s --function=recurrence --random-seed=1 --batch=-1 2>&1 | FileCheck %s --check-prefix=SIZES
// RUN: not wyvern-translate --interpret %s --function=recurrence --random-seed=1 --time=99999999999 2>&1 | FileCheck %s --check-prefix=SIZES
// RUN: not wyvern-translate --interpret %s --function=recurrence --random-seed=1 --batch=1000000 --time=1000000 2>&1 | FileCheck %s --check-prefix=MEMORY
// SIZES: error: expected a batch size and a number of tokens from 0 to 1048576, found
// MEMORY: error: expected a random array of at most 268435456 elements, found {{.*}} for 'q', batch size 1000000 and 1000000 tokens

// CHECK: y: shape [2], norm 1.250000e+00
// CHECK-NEXT: 0.750000, -1.000000
func.func @constants() -> (tensor<2xf32> {delta.name = "y"}) {
  %a = arith.constant dense<[1.5, -2.0]> : tensor<2xf32>
  %b = arith.constant dense<0.5> : tensor<2xf32>
  %y = arith.mulf %a, %b : tensor<2xf32>
  return %y : tensor<2xf32>
}

// The same numbers on every machine.
// RANDOM: o: shape [2, 5, 1, 2], norm 4.139853e+00
// RANDOM: final_state: shape [2, 1, 4, 2], norm
// NPY: b'\x93NUMPY' 160
// WHICH: expected one function to interpret, found 2; choose with --function
// NONE: no function is named 'nothing'
// INPUT: expected --input name=file.npy, found 'q'
// FILE: cannot read 'q': {{.*}}none.npy: No such file or directory
func.func @recurrence(%q: tensor<?x?x1x4xf32> {delta.name = "q"}, %k: tensor<?x?x1x4xf32> {delta.name = "k"}, %v: tensor<?x?x1x2xf32> {delta.name = "v"})
    -> (tensor<?x?x1x2xf32> {delta.name = "o"}, tensor<?x1x4x2xf32> {delta.name = "final_state"}) {
  %o, %s = delta.recurrence query(%q) step(write %k written %v) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x2xf32> -> (tensor<?x?x1x2xf32>, tensor<?x1x4x2xf32>)
  return %o, %s : tensor<?x?x1x2xf32>, tensor<?x1x4x2xf32>
}
