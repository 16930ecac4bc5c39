# A point on two lines for each line: 1 number of keys; 2-4 and 5-7 their values.
set terminal svg size 760,400 @svg
set title "The callback alone, with many keys in the table"
set xlabel "keys in the table"
set ylabel "ns of processor time"
stats $data using 1 name "KEYS" nooutput
set xrange [0.8*KEYS_min:1.25*KEYS_max]
set logscale x 2
set yrange [0:*]
plot $data using 1:2:3:4:xtic(1) with yerrorlines pointtype 7 pointsize 0.6 linewidth 2 linecolor rgb first title "encrypt", \
     $data using 1:5:6:7 with yerrorlines pointtype 7 pointsize 0.6 linewidth 2 linecolor rgb second title "decrypt"
