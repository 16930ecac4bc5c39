set title "The callback alone, with the making of its contexts"
set ylabel "ns of processor time"
one = "encrypt"
other = "decrypt"
