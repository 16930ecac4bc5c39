# Two bars for each line: 1 name; 2-4 and 5-7 their values.
set terminal svg size 760,400 @svg
set xtics scale 0
set bmargin 4
set xrange [-0.6:|$data|-0.4]
set yrange [0:*]
set offsets 0, 0, graph 0.08, 0
set grid noxtics
set style fill solid noborder
set errorbars small linecolor rgb ink
plot $data using 0:(0):xtic(1) with impulses notitle, \
     $data using ($0-0.2):2:3:4:(0.38) with boxerrorbars linecolor rgb first title one, \
     $data using ($0+0.2):5:6:7:(0.38) with boxerrorbars linecolor rgb second title other, \
     $data using ($0-0.2):4:(sprintf("%.0f", $2)) with labels offset 0,0.7 textcolor rgb ink notitle, \
     $data using ($0+0.2):7:(sprintf("%.0f", $5)) with labels offset 0,0.7 textcolor rgb ink notitle
