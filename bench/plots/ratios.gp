# A line for each row: 1 name, 2 goal, 3 met, 4 limit; 5-7 the ratio.
set terminal svg size 960,120+24*|$data| @svg
set title "Ratio of stek to what it is compared with: median of the rounds, minimum to maximum"
stats $data using 4:6 name "LOW" nooutput
stats $data using 4:7 name "HIGH" nooutput
low(a, b) = a < b ? a : b
high(a, b) = a > b ? a : b
set xrange [0.8*low(LOW_min_x, LOW_min_y):1.25*high(HIGH_max_x, HIGH_max_y)]
set logscale x
set xtics (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)
set yrange [|$data|-0.5:-0.5]
set y2range [|$data|-0.5:-0.5]
# Room for names of 60 characters.
set lmargin at screen 0.44
set rmargin at screen 0.86
set key width -5
set bmargin 4
set ytics scale 0
set y2tics scale 0
set arrow from 1, graph 0 to 1, graph 1 nohead linecolor rgb ink linewidth 1.5 dashtype 2
plot $data using 4:($0-0.36):(0):($3 == 1 ? 0.72 : NaN) with vectors nohead linewidth 4 linecolor rgb good notitle, \
     $data using 4:($0-0.36):(0):($3 == 0 ? 0.72 : NaN) with vectors nohead linewidth 4 dashtype (6, 3) linecolor rgb bad notitle, \
     $data using 5:0:6:7:ytic(1):y2tic(2) with xerrorbars pointtype 7 pointsize 0.6 linewidth 1.5 linecolor rgb ink title "ratio", \
     keyentry with lines linewidth 4 linecolor rgb good title "goal, met", \
     keyentry with lines linewidth 4 dashtype (6, 3) linecolor rgb bad title "goal, not met"
