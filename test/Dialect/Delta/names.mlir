// RUN: wyvern-opt %s | FileCheck %s
