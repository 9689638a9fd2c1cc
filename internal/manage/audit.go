package manage

import (
	"context"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/people"
)

// AuditPosition says where in each chain a reading goes on: the sequence number of the next older row, 0 where the
// chain is read to its beginning.
type AuditPosition map[string]int64

// Audit gives up to limit rows of all chains together, newest first by time, from `at` (nil: the ends) backwards,
// and where to go on (nil: that was all). Within a chain the order is the chain's own.
func (f *Flow) Audit(ctx context.Context, by By, at AuditPosition, limit int) (rows []audit.Row, next AuditPosition, err error) {
	err = f.see(ctx, by, AuditRead, func(s Store) error {
		if at == nil {
			heads, err := s.AuditHeads(ctx)
			if err != nil {
				return err
			}
			at = AuditPosition{}
			for _, h := range heads {
				at[h.Chain] = h.Seq
			}
		}
		waiting := map[string][]audit.Row{} // oldest first, as the chain runs
		for chain, seq := range at {
			if seq <= 0 {
				continue
			}
			from := max(1, seq-int64(limit)+1)
			if waiting[chain], err = s.AuditRows(ctx, chain, from, int(seq-from+1)); err != nil {
				return err
			}
		}
		rows, next = merge(waiting, maps.Clone(at), limit)
		return nil
	})
	return rows, next, err
}

// merge takes the newest of the chains' ends until limit; at becomes where to go on.
func merge(waiting map[string][]audit.Row, at AuditPosition, limit int) ([]audit.Row, AuditPosition) {
	var rows []audit.Row
	chains := slices.Sorted(maps.Keys(waiting))
	for len(rows) < limit {
		best := ""
		for _, c := range chains {
			if w := waiting[c]; len(w) > 0 && (best == "" || w[len(w)-1].At.After(waiting[best][len(waiting[best])-1].At)) {
				best = c
			}
		}
		if best == "" {
			break
		}
		w := waiting[best]
		last := w[len(w)-1]
		rows, waiting[best], at[best] = append(rows, last), w[:len(w)-1], last.Seq-1
	}
	for _, seq := range at {
		if seq > 0 {
			return rows, at
		}
	}
	return rows, nil
}

// EachAuditRow walks every chain from its beginning, for export and verification by others.
func (f *Flow) EachAuditRow(ctx context.Context, by By, each func(audit.Row) error) error {
	var heads []audit.Head
	err := f.see(ctx, by, AuditRead, func(s Store) (err error) {
		heads, err = s.AuditHeads(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range heads {
		for seq := int64(1); seq <= h.Seq; {
			var page []audit.Row
			err := f.see(ctx, by, AuditRead, func(s Store) (err error) {
				page, err = s.AuditRows(ctx, h.Chain, seq, 500)
				return err
			})
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for _, row := range page {
				if err := each(row); err != nil {
					return err
				}
				seq = row.Seq + 1
			}
		}
	}
	return nil
}

// Stats are counts for a dashboard; nothing personal.
type Stats struct {
	People       map[people.State]int
	Applications int
	Policy       int64 // version in force
	AuditRows    int64 // over all chains
}

// Stats counts.
func (f *Flow) Stats(ctx context.Context, by By) (st Stats, err error) {
	all, err := f.Apps.List(ctx)
	if err != nil {
		return st, err
	}
	err = f.see(ctx, by, PeopleRead, func(s Store) (err error) {
		if st.People, err = s.CountPeople(ctx); err != nil {
			return err
		}
		for _, a := range all {
			if !a.Closed {
				st.Applications++
			}
		}
		p, err := s.PolicyInForce(ctx)
		if err != nil {
			return err
		}
		heads, err := s.AuditHeads(ctx)
		st.Policy = p.Version
		for _, h := range heads {
			st.AuditRows += h.Seq
		}
		return err
	})
	return st, err
}
