# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# After support.sh, in the folder of work: a network of one layer, tiny.fhola, with its keys; five pictures, each encrypted for it, and all of
# them in five.ct; their results, whole.ct.
"$top_builddir/tests/make_small_network" tiny tiny
"$fhola" keygen tiny.client -q
for name in cat ship truck dog frog; do
    "$fhola" encrypt secret.key "$top_srcdir/nn/data/$name.ppm" -o $name.ct -q
done
cat cat.ct ship.ct truck.ct dog.ct frog.ct > five.ct
"$fhola" infer tiny.fhola eval.keys five.ct -o whole.ct -q || fail 'infer'
