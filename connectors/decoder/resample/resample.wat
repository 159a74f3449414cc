;; Reduces RGB pixels in two passes, down the columns and then across the row that came of it, with weights in 14 bits.
;; `npm test` compares resample-module.ts with what this file compiles to; UPDATE=1 writes it anew.
(module
  (memory (export "memory") 1)

  (func (export "resample")
    (param $source i32)      ;; u8, the first column that is needed, in the first row
    (param $stride i32)      ;; bytes of a row
    (param $rowBytes i32)    ;; bytes that are needed of a row, a multiple of 16
    (param $down i32)        ;; a row of the result: i32 offset from $source, then pairs of weights for rows, i16
    (param $downPairs i32)
    (param $rows i32)
    (param $across i32)      ;; a column of the result: i32 offset into $between, then pairs of weights for columns, i16
    (param $acrossPairs i32)
    (param $columns i32)
    (param $between i32)     ;; one row after the first pass: i16, values times 64
    (param $out i32)         ;; u8, [$rows x $columns x 3], and one byte more that is written over
    (local $x i32) (local $column i32) (local $pair i32) (local $at i32) (local $weights i32) (local $weight v128)
    (local $upper v128) (local $lower v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)

    (loop $nextRow
      ;; Down: 16 values of the row at once.
      (local.set $x (i32.const 0))
      (loop $nextValues
        (local.set $a (v128.const i32x4 128 128 128 128))
        (local.set $b (local.get $a))
        (local.set $c (local.get $a))
        (local.set $d (local.get $a))
        (local.set $at (i32.add (i32.add (local.get $source) (i32.load (local.get $down))) (local.get $x)))
        (local.set $weights (local.get $down))
        (local.set $pair (local.get $downPairs))
        (loop $nextPair
          (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
          (local.set $weight (v128.load32_splat (local.get $weights)))
          (local.set $upper (v128.load8x8_u (local.get $at)))
          (local.set $lower (v128.load8x8_u (i32.add (local.get $at) (local.get $stride))))
          (local.set $a (i32x4.add (local.get $a) (i32x4.dot_i16x8_s (local.get $weight)
            (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $upper) (local.get $lower)))))
          (local.set $b (i32x4.add (local.get $b) (i32x4.dot_i16x8_s (local.get $weight)
            (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $upper) (local.get $lower)))))
          (local.set $upper (v128.load8x8_u offset=8 (local.get $at)))
          (local.set $lower (v128.load8x8_u offset=8 (i32.add (local.get $at) (local.get $stride))))
          (local.set $c (i32x4.add (local.get $c) (i32x4.dot_i16x8_s (local.get $weight)
            (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $upper) (local.get $lower)))))
          (local.set $d (i32x4.add (local.get $d) (i32x4.dot_i16x8_s (local.get $weight)
            (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $upper) (local.get $lower)))))
          (local.set $at (i32.add (local.get $at) (i32.shl (local.get $stride) (i32.const 1))))
          (br_if $nextPair (local.tee $pair (i32.sub (local.get $pair) (i32.const 1)))))
        (local.set $at (i32.add (local.get $between) (i32.shl (local.get $x) (i32.const 1))))
        (v128.store (local.get $at) (i16x8.narrow_i32x4_s
          (i32x4.shr_s (local.get $a) (i32.const 8)) (i32x4.shr_s (local.get $b) (i32.const 8))))
        (v128.store offset=16 (local.get $at) (i16x8.narrow_i32x4_s
          (i32x4.shr_s (local.get $c) (i32.const 8)) (i32x4.shr_s (local.get $d) (i32.const 8))))
        (br_if $nextValues (i32.lt_u
          (local.tee $x (i32.add (local.get $x) (i32.const 16)))
          (local.get $rowBytes))))
      (local.set $down (i32.add (local.get $down) (i32.shl (i32.add (local.get $downPairs) (i32.const 1)) (i32.const 2))))

      ;; Across: red, green and blue of one pixel, from two pixels at once.
      (local.set $weights (local.get $across))
      (local.set $column (local.get $columns))
      (loop $nextColumn
        (local.set $a (v128.const i32x4 524288 524288 524288 524288))
        (local.set $at (i32.add (local.get $between) (i32.load (local.get $weights))))
        (local.set $pair (local.get $acrossPairs))
        (loop $nextPair
          (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
          (local.set $upper (v128.load (local.get $at)))
          (local.set $a (i32x4.add (local.get $a) (i32x4.dot_i16x8_s (v128.load32_splat (local.get $weights))
            (i8x16.shuffle 0 1 6 7 2 3 8 9 4 5 10 11 4 5 10 11 (local.get $upper) (local.get $upper)))))
          (local.set $at (i32.add (local.get $at) (i32.const 12)))
          (br_if $nextPair (local.tee $pair (i32.sub (local.get $pair) (i32.const 1)))))
        (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
        (local.set $a (i32x4.shr_s (local.get $a) (i32.const 20)))
        (local.set $a (i16x8.narrow_i32x4_s (local.get $a) (local.get $a)))
        (v128.store32_lane 0 (local.get $out) (i8x16.narrow_i16x8_u (local.get $a) (local.get $a)))
        (local.set $out (i32.add (local.get $out) (i32.const 3)))
        (br_if $nextColumn (local.tee $column (i32.sub (local.get $column) (i32.const 1)))))

      (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))
