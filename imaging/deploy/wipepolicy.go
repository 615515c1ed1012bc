package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

// WipePolicy gives the site's policy.
func (s *Service) WipePolicy(context.Context) (p store.KeptPolicy, err error) {
	err = s.db.View(func(tx *store.Tx) error { p, err = tx.WipePolicy(); return err })
	return p, err
}

// maxPolicyName bounds what a site calls its policy: it stands in a line of every certificate.
const maxPolicyName = 40

// SetWipePolicy writes it, under the next version. Wipes that were ordered before follow the one before. The audit trail
// keeps each version whole: a certificate names one, maybe years later.
func (s *Service) SetWipePolicy(ctx context.Context, operator string, p wipe.Policy) (store.KeptPolicy, error) {
	asked := p
	if err := checkWords(&p.Name); err != nil {
		return store.KeptPolicy{}, err
	}
	if len(p.Name) > maxPolicyName || strings.ContainsFunc(p.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return store.KeptPolicy{}, job.Faultf(job.CodeBadRequest, "A policy's name is one line of at most %d characters.", maxPolicyName)
	}
	p.Fallbacks, p.Raise = slices.Compact(slices.Sorted(slices.Values(p.Fallbacks))), slices.Compact(slices.Sorted(slices.Values(p.Raise)))
	_, err := s.once(ctx, operator, "wipe policy", asked, func(tx *store.Tx) (string, error) {
		kept, err := tx.PutWipePolicy(p, operator)
		if err != nil {
			return "", err
		}
		return kept.Name, tx.Audit(operator, "wipe policy", "server", policyWords(kept.Policy))
	})
	if err != nil {
		return store.KeptPolicy{}, err
	}
	return s.WipePolicy(ctx)
}

// policyWords tells all that a policy says.
func policyWords(p wipe.Policy) string {
	var want []string
	for _, c := range wipe.Classes {
		want = append(want, fmt.Sprintf("%s %s", c, p.Wants(c)))
	}
	text := fmt.Sprintf("Policy %s, version %d: wants %s; may stand in: %s; claimed as purge: %s; read back: %s", p.Name, p.Version, strings.Join(want, ", "), orNone(p.Fallbacks), orNone(p.Raise), p.Depth)
	if p.Unknown {
		text += "; unknown media are overwritten without asking"
	}
	return text + "."
}

func orNone(all []wipe.Technique) string {
	if len(all) == 0 {
		return "none"
	}
	var out []string
	for _, t := range all {
		out = append(out, string(t))
	}
	return strings.Join(out, ", ")
}
