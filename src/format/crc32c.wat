;; CRC-32C over bytes in its memory, eight at a time ("slicing by 8": Kounavis and Berry, 2005).
;; Table k, of 256 words at k * 1024, has what a byte does to the checksum k bytes further on; what
;; is summed starts behind the tables, at 8192.
(module
  (memory (export "memory") 2)

  (func $makeTables
    (local $at i32) (local $value i32) (local $bit i32)
    (loop $bytes ;; of table 0
      (local.set $value (i32.shr_u (local.get $at) (i32.const 2)))
      (local.set $bit (i32.const 8))
      (loop $bits
        (local.set $value
          (i32.xor
            (i32.shr_u (local.get $value) (i32.const 1))
            (i32.and
              (i32.const 0x82f63b78)
              (i32.sub (i32.const 0) (i32.and (local.get $value) (i32.const 1))))))
        (br_if $bits (local.tee $bit (i32.sub (local.get $bit) (i32.const 1)))))
      (i32.store (local.get $at) (local.get $value))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $bytes (i32.lt_u (local.get $at) (i32.const 1024))))
    (loop $words ;; of tables 1 to 7, each from the one before
      (local.set $value (i32.load (i32.sub (local.get $at) (i32.const 1024))))
      (i32.store
        (local.get $at)
        (i32.xor
          (i32.shr_u (local.get $value) (i32.const 8))
          (i32.load (i32.shl (i32.and (local.get $value) (i32.const 255)) (i32.const 2)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $words (i32.lt_u (local.get $at) (i32.const 8192)))))
  (start $makeTables)

  ;; The checksum of what $before is that of and the first $length bytes at 8192.
  (func (export "extend") (param $before i32) (param $length i32) (result i32)
    (local $crc i32) (local $at i32) (local $end i32) (local $high i32)
    (local.set $crc (i32.xor (local.get $before) (i32.const -1)))
    (local.set $at (i32.const 8192))
    (local.set $end (i32.add (i32.const 8192) (i32.and (local.get $length) (i32.const -8))))
    (block $noWords
      (br_if $noWords (i32.eq (local.get $at) (local.get $end)))
      (loop $words
        (local.set $crc (i32.xor (local.get $crc) (i32.load (local.get $at))))
        (local.set $high (i32.load offset=4 (local.get $at)))
        (local.set $crc
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.load offset=7168
                  (i32.shl (i32.and (local.get $crc) (i32.const 255)) (i32.const 2)))
                (i32.load offset=6144
                  (i32.and (i32.shr_u (local.get $crc) (i32.const 6)) (i32.const 1020))))
              (i32.xor
                (i32.load offset=5120
                  (i32.and (i32.shr_u (local.get $crc) (i32.const 14)) (i32.const 1020)))
                (i32.load offset=4096
                  (i32.and (i32.shr_u (local.get $crc) (i32.const 22)) (i32.const 1020)))))
            (i32.xor
              (i32.xor
                (i32.load offset=3072
                  (i32.shl (i32.and (local.get $high) (i32.const 255)) (i32.const 2)))
                (i32.load offset=2048
                  (i32.and (i32.shr_u (local.get $high) (i32.const 6)) (i32.const 1020))))
              (i32.xor
                (i32.load offset=1024
                  (i32.and (i32.shr_u (local.get $high) (i32.const 14)) (i32.const 1020)))
                (i32.load
                  (i32.and (i32.shr_u (local.get $high) (i32.const 22)) (i32.const 1020)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $words (i32.lt_u (local.get $at) (local.get $end)))))
    (local.set $end (i32.add (i32.const 8192) (local.get $length)))
    (block $noBytes
      (br_if $noBytes (i32.eq (local.get $at) (local.get $end)))
      (loop $bytes
        (local.set $crc
          (i32.xor
            (i32.shr_u (local.get $crc) (i32.const 8))
            (i32.load
              (i32.shl
                (i32.and
                  (i32.xor (local.get $crc) (i32.load8_u (local.get $at)))
                  (i32.const 255))
                (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $bytes (i32.lt_u (local.get $at) (local.get $end)))))
    (i32.xor (local.get $crc) (i32.const -1))))
