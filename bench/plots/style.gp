# What all plots have in common. A page may be dark: the background is white.
set encoding utf8
set datafile separator "\t"
svg = 'name "stek" font "sans-serif,13" background "#ffffff" noenhanced'
ink = "#333333"
first = "#6f86a6"
second = "#d9822b"
good = "#2e7d32"
bad = "#c62828"
set border 3 linecolor rgb ink
set tics nomirror out scale 0.5 textcolor rgb ink
set grid linecolor rgb "#dddddd" linetype 1
set bmargin 5
set key at screen 0.5, screen 0.02 bottom center horizontal reverse Left samplen 2
