# SPDX-License-Identifier: MIT
#
# prove's harness with one more line at the very end: how many tests passed
# and failed, counted over all files. A file that died or kept no plan counts
# as one failure more. Run by `make check` as `prove --harness Counted`.
package Counted;

use strict;
use warnings;
use base 'TAP::Harness';

sub runtests {
	my ($self, @tests) = @_;
	my $agg = $self->SUPER::runtests(@tests);
	my $failed = $agg->failed;
	for my $parser ($agg->parsers) {
		$failed++ if $parser->has_problems && !$parser->failed;
	}
	my $skipped = $agg->skipped;
	printf "%d passed, %d failed%s\n", $agg->passed - $skipped, $failed,
		$skipped ? ", $skipped skipped" : '';
	return $agg;
}

1;
