;; Scales RGB pixels in two passes, across the rows and then down the columns, with 8 bits between them and weights of 22 bits: the
;; sums of Pillow's src/libImaging/Resample.c, to the bit. A weight is high * 2^11 + low, each of 16 bits, so that two products of
;; 16 bits make one of 32. `npm test` compares resample-module.ts with what this file compiles to; UPDATE=1 writes it anew.
(module
  (memory (export "memory") 1)

  (func (export "across")
    (param $source i32)      ;; u8, the first column that is needed, in the first row
    (param $stride i32)      ;; bytes of a row
    (param $rows i32)
    (param $table i32)       ;; a column of the result: i32 offset into the row, 12 bytes of nothing, then for 4 pixels each:
    (param $groups i32)      ;;   4 high and 4 low weights, i16; so many times
    (param $columns i32)
    (param $out i32)         ;; u8, [$rows x $columns x 3], and one byte more that is written over
    (local $column i32) (local $group i32) (local $at i32) (local $weights i32)
    (local $weight v128) (local $bytes v128) (local $left v128) (local $right v128) (local $high v128) (local $low v128)
    (local $none v128)
    (loop $nextRow
      (local.set $weights (local.get $table))
      (local.set $column (local.get $columns))
      (loop $nextColumn
        (local.set $high (v128.const i32x4 0 0 0 0))
        (local.set $low (v128.const i32x4 2097152 2097152 2097152 2097152))
        (local.set $at (i32.add (local.get $source) (i32.load (local.get $weights))))
        (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
        (local.set $group (local.get $groups))
        (loop $nextGroup
          (local.set $bytes (v128.load (local.get $at)))
          (local.set $weight (v128.load (local.get $weights)))
          ;; Red of two pixels, green of two, blue of two, as i16
          (local.set $left (i8x16.shuffle 0 16 3 16 1 16 4 16 2 16 5 16 2 16 5 16 (local.get $bytes) (local.get $none)))
          (local.set $right (i8x16.shuffle 6 16 9 16 7 16 10 16 8 16 11 16 8 16 11 16 (local.get $bytes) (local.get $none)))
          (local.set $high (i32x4.add (local.get $high) (i32x4.dot_i16x8_s (local.get $left)
            (i8x16.shuffle 0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3 (local.get $weight) (local.get $weight)))))
          (local.set $high (i32x4.add (local.get $high) (i32x4.dot_i16x8_s (local.get $right)
            (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7 (local.get $weight) (local.get $weight)))))
          (local.set $low (i32x4.add (local.get $low) (i32x4.dot_i16x8_s (local.get $left)
            (i8x16.shuffle 8 9 10 11 8 9 10 11 8 9 10 11 8 9 10 11 (local.get $weight) (local.get $weight)))))
          (local.set $low (i32x4.add (local.get $low) (i32x4.dot_i16x8_s (local.get $right)
            (i8x16.shuffle 12 13 14 15 12 13 14 15 12 13 14 15 12 13 14 15 (local.get $weight) (local.get $weight)))))
          (local.set $at (i32.add (local.get $at) (i32.const 12)))
          (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
          (br_if $nextGroup (local.tee $group (i32.sub (local.get $group) (i32.const 1)))))
        (local.set $low (i32x4.shr_s (i32x4.add (local.get $low) (i32x4.shl (local.get $high) (i32.const 11))) (i32.const 22)))
        (local.set $low (i16x8.narrow_i32x4_s (local.get $low) (local.get $low)))
        (v128.store32_lane 0 (local.get $out) (i8x16.narrow_i16x8_u (local.get $low) (local.get $low)))
        (local.set $out (i32.add (local.get $out) (i32.const 3)))
        (br_if $nextColumn (local.tee $column (i32.sub (local.get $column) (i32.const 1)))))
      (local.set $source (i32.add (local.get $source) (local.get $stride)))
      (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  (func (export "down")
    (param $source i32)      ;; u8, rows of $rowBytes each
    (param $rowBytes i32)
    (param $table i32)       ;; a row of the result: i32 offset from $source, 4 bytes of nothing, then for 2 rows each:
    (param $pairs i32)       ;;   2 high and 2 low weights, i16; so many times
    (param $rows i32)
    (param $out i32)         ;; u8, [$rows x $rowBytes], and 7 bytes more that are written over
    (local $x i32) (local $pair i32) (local $at i32) (local $weights i32)
    (local $upper v128) (local $lower v128) (local $left v128) (local $right v128) (local $weight v128)
    (local $highLeft v128) (local $highRight v128) (local $lowLeft v128) (local $lowRight v128)
    (loop $nextRow
      (local.set $x (i32.const 0))
      (loop $nextValues
        (local.set $highLeft (v128.const i32x4 0 0 0 0))
        (local.set $highRight (local.get $highLeft))
        (local.set $lowLeft (v128.const i32x4 2097152 2097152 2097152 2097152))
        (local.set $lowRight (local.get $lowLeft))
        (local.set $at (i32.add (i32.add (local.get $source) (i32.load (local.get $table))) (local.get $x)))
        (local.set $weights (i32.add (local.get $table) (i32.const 8)))
        (local.set $pair (local.get $pairs))
        (loop $nextPair
          (local.set $upper (v128.load8x8_u (local.get $at)))
          (local.set $lower (v128.load8x8_u (i32.add (local.get $at) (local.get $rowBytes))))
          (local.set $left (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $upper) (local.get $lower)))
          (local.set $right (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $upper) (local.get $lower)))
          (local.set $weight (v128.load32_splat (local.get $weights)))
          (local.set $highLeft (i32x4.add (local.get $highLeft) (i32x4.dot_i16x8_s (local.get $weight) (local.get $left))))
          (local.set $highRight (i32x4.add (local.get $highRight) (i32x4.dot_i16x8_s (local.get $weight) (local.get $right))))
          (local.set $weight (v128.load32_splat offset=4 (local.get $weights)))
          (local.set $lowLeft (i32x4.add (local.get $lowLeft) (i32x4.dot_i16x8_s (local.get $weight) (local.get $left))))
          (local.set $lowRight (i32x4.add (local.get $lowRight) (i32x4.dot_i16x8_s (local.get $weight) (local.get $right))))
          (local.set $at (i32.add (local.get $at) (i32.shl (local.get $rowBytes) (i32.const 1))))
          (local.set $weights (i32.add (local.get $weights) (i32.const 8)))
          (br_if $nextPair (local.tee $pair (i32.sub (local.get $pair) (i32.const 1)))))
        (local.set $left (i16x8.narrow_i32x4_s
          (i32x4.shr_s (i32x4.add (local.get $lowLeft) (i32x4.shl (local.get $highLeft) (i32.const 11))) (i32.const 22))
          (i32x4.shr_s (i32x4.add (local.get $lowRight) (i32x4.shl (local.get $highRight) (i32.const 11))) (i32.const 22))))
        (v128.store64_lane 0 (i32.add (local.get $out) (local.get $x))
          (i8x16.narrow_i16x8_u (local.get $left) (local.get $left)))
        (br_if $nextValues (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 8))) (local.get $rowBytes))))
      (local.set $out (i32.add (local.get $out) (local.get $rowBytes)))
      (local.set $table (i32.add (local.get $table) (i32.shl (i32.add (local.get $pairs) (i32.const 1)) (i32.const 3))))
      (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))
